/* The board layer of both Arduinos. Register names and timing: Microchip data sheets
 * DS40002061 (ATmega328P) and DS40002211 (ATmega2560). */
#include "hal.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/wdt.h>
#include <util/atomic.h>

#include PINS_HEADER

/* Divisor of the serial line with U2X = 1, rounded: baud = F_CPU / (8 (UBRR + 1)). */
#define UBRR_OF(baud) ((uint16_t)(((F_CPU + ((baud) * 4UL)) / ((baud) * 8UL)) - 1UL))

#define TICKS_PER_MS 2000u /* timer 1 at F_CPU / 8 */
_Static_assert(F_CPU == 16000000UL, "timer and UART are laid out for 16 MHz");

#define BIT(n) ((uint8_t)(1u << (n)))

/* The control register of the line is always written in full, without or with the
 * sender's interrupt: no read and write back, so nothing has to be atomic. */
#define UART_ON ((uint8_t)(BIT(RXCIE0) | BIT(RXEN0) | BIT(TXEN0)))

/* No start-up code clears these, and a reset does not either. */
#define MARKED 0xC105EDA5UL
static uint8_t reset_cause __attribute__((section(".noinit")));
static uint32_t mark __attribute__((section(".noinit")));

/* Rings of 256: the 8-bit indices wrap by themselves and are read atomically. */
static uint8_t rx_ring[256];
static volatile uint8_t rx_in;    /* next free; only the interrupt uses it */
static volatile uint8_t rx_whole; /* behind the last whole line */
static volatile uint8_t rx_out;   /* next to read */
static volatile uint8_t rx_lost;
static volatile uint8_t rx_skipping;
static uint8_t rx_delimiter;

static uint8_t tx_ring[256];
static volatile uint8_t tx_in;
static volatile uint8_t tx_out;

static volatile uint32_t now_ms;

/* Runs before main: the watchdog stays armed over its own reset and would bite again
 * during start-up. */
void hal_early(void) __attribute__((naked, used, section(".init3")));
void hal_early(void)
{
    reset_cause = (uint8_t)(MCUSR & 0x0Fu); /* PORF EXTRF BORF WDRF, in hal.h's order */
    MCUSR = 0u;
    if (mark == MARKED) {
        reset_cause |= HAL_RESET_MARKED;
    }
    wdt_disable();
}

void hal_init(uint8_t delimiter)
{
    cli();
    /* Contactor: input without pull-up, whatever ran before. */
    PIN_CONTACTOR_DDR &= (uint8_t)~BIT(PIN_CONTACTOR);
    PIN_CONTACTOR_PORT &= (uint8_t)~BIT(PIN_CONTACTOR);
    PIN_FEEDBACK_PORT |= BIT(PIN_FEEDBACK);
    PIN_CAN_INT_PORT |= BIT(PIN_CAN_INT);

    /* Every chip deselected before the bus wakes: a forgotten one answers as well. */
    PIN_CS_CAN_PORT |= BIT(PIN_CS_CAN);
    PIN_CS_CAN_DDR |= BIT(PIN_CS_CAN);
    PIN_CS_AFE_PORT |= BIT(PIN_CS_AFE);
    PIN_CS_AFE_DDR |= BIT(PIN_CS_AFE);
    PIN_CS_ADC_PORT |= BIT(PIN_CS_ADC);
    PIN_CS_ADC_DDR |= BIT(PIN_CS_ADC);
    PIN_SPI_PORT |= BIT(PIN_SPI_SS);
    PIN_SPI_DDR |= (uint8_t)(BIT(PIN_SPI_SS) | BIT(PIN_SPI_MOSI) | BIT(PIN_SPI_SCK));
    hal_spi_speed(HAL_SPI_MODE0, true);

    TCCR1A = 0u;
    TCCR1B = (uint8_t)(BIT(WGM12) | BIT(CS11));
    OCR1A = (uint16_t)(TICKS_PER_MS - 1u);
    TIMSK1 = BIT(OCIE1A);

    rx_delimiter = delimiter;
    UCSR0A = BIT(U2X0);
    UBRR0 = UBRR_OF(BAUD);
    UCSR0C = (uint8_t)(BIT(UCSZ01) | BIT(UCSZ00));
    UCSR0B = UART_ON;

    ADMUX = BIT(REFS0);
    ADCSRA = (uint8_t)(BIT(ADEN) | BIT(ADPS2) | BIT(ADPS1) | BIT(ADPS0));
    sei();
}

uint8_t hal_reset_cause(void)
{
    return reset_cause;
}

void hal_mark(bool marked)
{
    mark = marked ? MARKED : 0u;
}

ISR(TIMER1_COMPA_vect)
{
    now_ms++;
}

uint32_t hal_millis(void)
{
    uint32_t ms;

    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        ms = now_ms;
    }
    return ms;
}

uint32_t hal_micros(void)
{
    uint32_t ms;
    uint16_t ticks;

    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        ms = now_ms;
        ticks = TCNT1;
        if (((TIFR1 & BIT(OCF1A)) != 0u) && (ticks < (TICKS_PER_MS / 2u))) {
            ms++; /* wrapped, the interrupt has not run yet */
        }
    }
    return (ms * 1000u) + (ticks >> 1);
}

ISR(UART_RX_VECTOR)
{
    const uint8_t errors = (uint8_t)(UCSR0A & (BIT(FE0) | BIT(DOR0)));
    const uint8_t byte = UDR0;
    const uint8_t in = rx_in;
    const uint8_t next = (uint8_t)(in + 1u);

    if ((errors != 0u) || (next == rx_out)) {
        rx_skipping = 1u;
    }
    if (rx_skipping == 0u) {
        rx_ring[in] = byte;
        rx_in = next;
        if (byte == rx_delimiter) {
            rx_whole = next;
        }
    } else if (byte == rx_delimiter) {
        rx_skipping = 0u;
        rx_in = rx_whole;
        if (rx_lost != 0xFFu) {
            rx_lost++;
        }
    } else {
        /* still inside the line that is lost */
    }
}

bool hal_uart_read(uint8_t *byte)
{
    const uint8_t out = rx_out;

    if (out == rx_whole) {
        return false;
    }
    *byte = rx_ring[out];
    rx_out = (uint8_t)(out + 1u);
    return true;
}

uint8_t hal_uart_lost_lines(void)
{
    uint8_t lost = 0u;

    if (rx_lost != 0u) {
        ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
        {
            lost = rx_lost;
            rx_lost = 0u;
        }
    }
    return lost;
}

ISR(UART_UDRE_VECTOR)
{
    const uint8_t in = tx_in;
    uint8_t out = tx_out;

    if (out != in) {
        UDR0 = tx_ring[out];
        out++;
        tx_out = out;
    }
    if (out == in) {
        UCSR0B = UART_ON;
    }
}

uint8_t hal_uart_room(void)
{
    return (uint8_t)((uint8_t)(tx_out - tx_in) - 1);
}

void hal_uart_write(uint8_t byte)
{
    const uint8_t in = tx_in;

    tx_ring[in] = byte;
    tx_in = (uint8_t)(in + 1u);
    UCSR0B = (uint8_t)(UART_ON | BIT(UDRIE0));
}

void hal_uart_speed(uint32_t baud)
{
    uint32_t start;

    while (tx_out != tx_in) {
    }
    start = hal_millis(); /* two more bytes are on their way: 9 ms at 2400 */
    while ((hal_millis() - start) < 10u) {
    }
    UBRR0 = UBRR_OF(baud);
}

void hal_spi_speed(uint8_t mode, bool fast)
{
    SPCR = (uint8_t)(BIT(SPE) | BIT(MSTR) | (uint8_t)(mode << CPHA)
                     | (fast ? 0u : BIT(SPR0)));
    SPSR = fast ? BIT(SPI2X) : 0u;
}

void hal_spi_select(uint8_t chip)
{
    switch (chip) {
    case HAL_CS_CAN:
        PIN_CS_CAN_PORT &= (uint8_t)~BIT(PIN_CS_CAN);
        break;
    case HAL_CS_AFE:
        PIN_CS_AFE_PORT &= (uint8_t)~BIT(PIN_CS_AFE);
        break;
    default:
        PIN_CS_ADC_PORT &= (uint8_t)~BIT(PIN_CS_ADC);
        break;
    }
}

void hal_spi_deselect(uint8_t chip)
{
    switch (chip) {
    case HAL_CS_CAN:
        PIN_CS_CAN_PORT |= BIT(PIN_CS_CAN);
        break;
    case HAL_CS_AFE:
        PIN_CS_AFE_PORT |= BIT(PIN_CS_AFE);
        break;
    default:
        PIN_CS_ADC_PORT |= BIT(PIN_CS_ADC);
        break;
    }
}

uint8_t hal_spi_transfer(uint8_t byte)
{
    SPDR = byte;
    while ((SPSR & BIT(SPIF)) == 0u) {
    }
    return SPDR;
}

bool hal_can_interrupt(void)
{
    return (PIN_CAN_INT_IN & BIT(PIN_CAN_INT)) == 0u;
}

void hal_contactor(bool closed)
{
    if (closed) {
        PIN_CONTACTOR_PORT |= BIT(PIN_CONTACTOR);
        PIN_CONTACTOR_DDR |= BIT(PIN_CONTACTOR);
    } else {
        PIN_CONTACTOR_PORT &= (uint8_t)~BIT(PIN_CONTACTOR);
        PIN_CONTACTOR_DDR |= BIT(PIN_CONTACTOR);
    }
}

bool hal_contactor_feedback(void)
{
    return (PIN_FEEDBACK_IN & BIT(PIN_FEEDBACK)) == 0u;
}

uint16_t hal_adc(uint8_t channel)
{
    ADMUX = (uint8_t)(BIT(REFS0) | (channel & 0x07u));
    ADCSRA |= BIT(ADSC);
    while ((ADCSRA & BIT(ADSC)) != 0u) {
    }
    return ADC;
}

bool hal_eeprom_ready(void)
{
    return (EECR & BIT(EEPE)) == 0u;
}

uint8_t hal_eeprom_read(uint16_t address)
{
    while (!hal_eeprom_ready()) {
    }
    EEAR = address;
    EECR |= BIT(EERE);
    return EEDR;
}

void hal_eeprom_write(uint16_t address, uint8_t byte)
{
    while (!hal_eeprom_ready()) {
    }
    EEAR = address;
    EEDR = byte;
    ATOMIC_BLOCK(ATOMIC_RESTORESTATE)
    {
        EECR = BIT(EEMPE); /* four cycles to set EEPE after this */
        EECR |= BIT(EEPE);
    }
}

void hal_watchdog_start(void)
{
    wdt_enable(WDTO_60MS);
}

void hal_watchdog_kick(void)
{
    wdt_reset();
}
