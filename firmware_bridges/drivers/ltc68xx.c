#include "ltc68xx.h"

#include "bl_protocol.h"
#include "hal.h"

#define PEC_START 0x0010u
#define PEC_POLYNOMIAL 0x4599u

#define CMD_WRCFGA 0x0001u
#define CMD_CLRCELL 0x0711u
#define CMD_RDCVA 0x0004u /* and every second one behind it: B, C, D */
#define CMD_ADCV 0x0360u /* 7 kHz, no discharge meanwhile, all cells */

#define WAKE_US 400u    /* t_WAKE at most; a chip passes the pulse on when it is awake */
#define GROUP_BYTES 6u
#define GPIO_PULLDOWNS_OFF 0xF8u
#define REFON 0x04u

uint16_t ltc_pec15(const uint8_t *data, uint8_t n)
{
    uint16_t pec = PEC_START;

    for (uint8_t i = 0u; i < n; i++) {
        pec ^= (uint16_t)((uint16_t)data[i] << 7);
        for (uint8_t bit = 0u; bit < 8u; bit++) {
            if ((pec & 0x4000u) != 0u) {
                pec = (uint16_t)((uint16_t)(pec << 1) ^ PEC_POLYNOMIAL);
            } else {
                pec = (uint16_t)(pec << 1);
            }
        }
    }
    return (uint16_t)(pec << 1);
}

static void send_with_pec(const uint8_t *data, uint8_t n)
{
    const uint16_t pec = ltc_pec15(data, n);

    for (uint8_t i = 0u; i < n; i++) {
        (void)hal_spi_transfer(data[i]);
    }
    (void)hal_spi_transfer((uint8_t)(pec >> 8));
    (void)hal_spi_transfer((uint8_t)(pec & 0xFFu));
}

static void begin(uint16_t command)
{
    const uint8_t bytes[2] = {(uint8_t)(command >> 8), (uint8_t)(command & 0xFFu)};

    hal_spi_speed(HAL_SPI_MODE3, false);
    hal_spi_select(HAL_CS_AFE);
    send_with_pec(bytes, 2u);
}

static void end(void)
{
    hal_spi_deselect(HAL_CS_AFE);
}

void ltc_wake(uint8_t n_chips)
{
    static const uint8_t configuration[GROUP_BYTES] = {GPIO_PULLDOWNS_OFF | REFON,
                                                       0u, 0u, 0u, 0u, 0u};

    hal_spi_speed(HAL_SPI_MODE3, false);
    for (uint8_t i = 0u; i < n_chips; i++) {
        const uint32_t since = hal_micros();

        hal_spi_select(HAL_CS_AFE);
        (void)hal_spi_transfer(0xFFu); /* isoSPI needs an edge of the clock as well */
        hal_spi_deselect(HAL_CS_AFE);
        while ((uint32_t)(hal_micros() - since) < WAKE_US) {
        }
    }
    begin(CMD_WRCFGA);
    for (uint8_t i = 0u; i < n_chips; i++) {
        send_with_pec(configuration, GROUP_BYTES);
    }
    end();
}

void ltc_clear(void)
{
    begin(CMD_CLRCELL);
    end();
}

void ltc_convert(void)
{
    begin(CMD_ADCV);
    end();
}

bool ltc_read_group(uint8_t group, uint8_t n_chips, uint16_t *codes)
{
    bool right = true;

    begin((uint16_t)(CMD_RDCVA + ((uint16_t)group << 1)));
    for (uint8_t chip = 0u; chip < n_chips; chip++) {
        uint8_t bytes[GROUP_BYTES];
        uint16_t pec;

        for (uint8_t i = 0u; i < GROUP_BYTES; i++) {
            bytes[i] = hal_spi_transfer(0xFFu);
        }
        pec = (uint16_t)((uint16_t)hal_spi_transfer(0xFFu) << 8);
        pec |= hal_spi_transfer(0xFFu);
        if (pec == ltc_pec15(bytes, GROUP_BYTES)) {
            uint16_t *to = &codes[(chip * LTC_CELLS) + (group * 3u)];

            for (uint8_t i = 0u; i < 3u; i++) {
                to[i] = (uint16_t)((uint16_t)bytes[2u * i]
                                   | (uint16_t)((uint16_t)bytes[(2u * i) + 1u] << 8));
            }
        } else {
            right = false;
        }
    }
    end();
    return right;
}
