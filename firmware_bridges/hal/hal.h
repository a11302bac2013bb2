/* What the portable code may ask of a board. One board is linked in; there are no
 * function pointers, so what a call does is found in one hop (boards/<name>/). */
#ifndef HAL_H
#define HAL_H

#include <stdbool.h>
#include <stdint.h>

/* Chips on the SPI bus, by their chip-select line. */
#define HAL_CS_CAN 0u /* MCP2515 */
#define HAL_CS_AFE 1u /* LTC6811 class front end, alone or first of a chain */
#define HAL_CS_ADC 2u /* MCP3208 */

/* SPI modes: CPOL in bit 1, CPHA in bit 0. */
#define HAL_SPI_MODE0 0u /* MCP2515, MCP320x */
#define HAL_SPI_MODE3 3u /* LTC6811 */

/* What caused the last reset; several bits may be set. */
#define HAL_RESET_POWER_ON 0x01u
#define HAL_RESET_EXTERNAL 0x02u
#define HAL_RESET_BROWN_OUT 0x04u
#define HAL_RESET_WATCHDOG 0x08u
#define HAL_RESET_MARKED 0x10u /* hal_mark(true) was the last call of it */

/* Set up clock, pins and the serial line. The contactor line stays an input (the
 * pull-down outside holds it low) until hal_contactor(true) is called.
 * `delimiter` ends a line or frame on the serial line. */
void hal_init(uint8_t delimiter);

uint8_t hal_reset_cause(void);

/* A mark in memory that a reset leaves alone. It is known in hal_reset_cause also where
 * a bootloader has cleared the cause before this firmware sees it. */
void hal_mark(bool marked);

uint32_t hal_millis(void); /* ms since reset, wraps after 49 days */
uint32_t hal_micros(void); /* us since reset, wraps after 71 minutes */

/* Serial line. Received bytes become visible only as whole lines: a line that does
 * not fit, or in which the line lost or damaged a byte, is dropped as a whole and
 * counted. So nobody ever sees half a line or two lines run together unnoticed. */
bool hal_uart_read(uint8_t *byte);
uint8_t hal_uart_lost_lines(void); /* since the last call; stays at 255 */
uint8_t hal_uart_room(void);       /* bytes that hal_uart_write takes now */
void hal_uart_write(uint8_t byte); /* never call without room: the byte would go */
void hal_uart_speed(uint32_t baud); /* once all that was written has left */

/* SPI, most significant bit first. Chips share the bus: one is selected at a time. */
void hal_spi_speed(uint8_t mode, bool fast); /* fast: F_CPU / 2; else F_CPU / 16 */
void hal_spi_select(uint8_t chip);
void hal_spi_deselect(uint8_t chip);
uint8_t hal_spi_transfer(uint8_t byte);

/* Interrupt line of the MCP2515: true while it asks for attention. */
bool hal_can_interrupt(void);

/* Contactor coil and the auxiliary contact that follows it. */
void hal_contactor(bool closed);
bool hal_contactor_feedback(void);

/* One conversion of the microcontroller's own converter, 10 bits of AVCC, 104 us. */
uint16_t hal_adc(uint8_t channel);

/* EEPROM. A write takes 3.4 ms: it is started only when the last one is finished. */
uint8_t hal_eeprom_read(uint16_t address);
bool hal_eeprom_ready(void);
void hal_eeprom_write(uint16_t address, uint8_t byte);

/* Hardware watchdog: resets the processor, and so releases the contactor line,
 * 60 ms after the last kick. It cannot be stopped once started. */
void hal_watchdog_start(void);
void hal_watchdog_kick(void);

#endif
