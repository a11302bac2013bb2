/* Arduino Uno and Nano, ATmega328P at 16 MHz. The digital pins have the same numbers
 * as on the Mega, so one wiring table serves both; SPI is on the ICSP header. */
#ifndef PINS_H
#define PINS_H

#define PIN_SPI_PORT PORTB
#define PIN_SPI_DDR DDRB
#define PIN_SPI_SS 2u /* D10, must be an output for the SPI to stay master */
#define PIN_SPI_MOSI 3u
#define PIN_SPI_MISO 4u
#define PIN_SPI_SCK 5u

#define PIN_CS_CAN_PORT PORTB /* D10 */
#define PIN_CS_CAN_DDR DDRB
#define PIN_CS_CAN 2u
#define PIN_CS_AFE_PORT PORTB /* D9 */
#define PIN_CS_AFE_DDR DDRB
#define PIN_CS_AFE 1u
#define PIN_CS_ADC_PORT PORTB /* D8 */
#define PIN_CS_ADC_DDR DDRB
#define PIN_CS_ADC 0u

#define PIN_CAN_INT_IN PIND /* D2 */
#define PIN_CAN_INT_PORT PORTD
#define PIN_CAN_INT 2u

#define PIN_CONTACTOR_PORT PORTD /* D5 */
#define PIN_CONTACTOR_DDR DDRD
#define PIN_CONTACTOR 5u
#define PIN_FEEDBACK_IN PIND /* D3; the auxiliary contact pulls it low when closed */
#define PIN_FEEDBACK_PORT PORTD
#define PIN_FEEDBACK 3u

/* Names that differ between the two chips. */
#define UART_RX_VECTOR USART_RX_vect
#define UART_UDRE_VECTOR USART_UDRE_vect

#endif
