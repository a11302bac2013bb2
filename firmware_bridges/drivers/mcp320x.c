#include "mcp320x.h"

#include "hal.h"

#define START_SINGLE_ENDED 0x06u
#define NULL_BIT 0x10u

uint16_t mcp320x_read(uint8_t channel)
{
    uint8_t high;
    uint8_t low;

    hal_spi_speed(HAL_SPI_MODE0, false); /* 1 MHz: within the 2 MHz it takes at 5 V */
    hal_spi_select(HAL_CS_ADC);
    (void)hal_spi_transfer((uint8_t)(START_SINGLE_ENDED | ((channel >> 2) & 1u)));
    high = hal_spi_transfer((uint8_t)((channel & 3u) << 6));
    low = hal_spi_transfer(0u);
    hal_spi_deselect(HAL_CS_ADC);
    if ((high & NULL_BIT) != 0u) {
        return MCP320X_DEAD;
    }
    return (uint16_t)((uint16_t)(((uint16_t)high & 0x0Fu) << 8) | low);
}
