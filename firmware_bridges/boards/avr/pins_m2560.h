/* Arduino Mega 2560, ATmega2560 at 16 MHz. The digital pins have the same numbers as
 * on the Uno, so one wiring table serves both; SPI is on the ICSP header. */
#ifndef PINS_H
#define PINS_H

#define PIN_SPI_PORT PORTB
#define PIN_SPI_DDR DDRB
#define PIN_SPI_SS 0u /* D53, must be an output for the SPI to stay master */
#define PIN_SPI_SCK 1u
#define PIN_SPI_MOSI 2u
#define PIN_SPI_MISO 3u

#define PIN_CS_CAN_PORT PORTB /* D10 */
#define PIN_CS_CAN_DDR DDRB
#define PIN_CS_CAN 4u
#define PIN_CS_AFE_PORT PORTH /* D9 */
#define PIN_CS_AFE_DDR DDRH
#define PIN_CS_AFE 6u
#define PIN_CS_ADC_PORT PORTH /* D8 */
#define PIN_CS_ADC_DDR DDRH
#define PIN_CS_ADC 5u

#define PIN_CAN_INT_IN PINE /* D2 */
#define PIN_CAN_INT_PORT PORTE
#define PIN_CAN_INT 4u

#define PIN_CONTACTOR_PORT PORTE /* D5 */
#define PIN_CONTACTOR_DDR DDRE
#define PIN_CONTACTOR 3u
#define PIN_FEEDBACK_IN PINE /* D3; the auxiliary contact pulls it low when closed */
#define PIN_FEEDBACK_PORT PORTE
#define PIN_FEEDBACK 5u

/* Names that differ between the two chips. */
#define UART_RX_VECTOR USART0_RX_vect
#define UART_UDRE_VECTOR USART0_UDRE_vect

#endif
