/* Corrections of simavr 1.6: how long SPI and serial bytes take, and that a receiver
 * overruns. Without them rates and losses would be a fantasy. */
#include "rig_state.h"

#include <simavr/avr_extint.h>
#include <simavr/sim_io.h>

/* simavr 1.6 takes 100 us for every SPI byte. Runs after its own handler of SPDR:
 * replaces the timer that handler set by one of eight bit times. */
static void on_spdr(struct avr_t *avr, avr_io_addr_t address, uint8_t value, void *param)
{
    (void)address, (void)value;
    rig_t *rig = param;
    static const unsigned divider[4] = {4, 16, 64, 128};
    unsigned select = (unsigned)(avr->data[rig->spi->r_spcr] & 3);
    unsigned cycles = 8 * divider[select] / (avr->data[rig->spi->r_spsr] & 1 ? 2 : 1);
    for (avr_cycle_timer_slot_p t = avr->cycle_timers.timer; t; t = t->next) {
        if (t->param == rig->spi) {
            avr_cycle_timer_t raise = t->timer;
            avr_cycle_timer_cancel(avr, raise, rig->spi);
            if (!rig->spi_hung) {
                cycles += rig->spi_slow_us * (RIG_HZ / 1000000u);
                avr_cycle_timer_register(avr, cycles, raise, rig->spi);
            }
            return;
        }
    }
}

unsigned timing_byte_cycles(const rig_t *rig)
{
    const uint8_t *data = rig->avr->data;
    unsigned ubrr = data[rig->board->ubrr] | (unsigned)(data[rig->board->ubrr + 1] & 15) << 8;
    unsigned oversampling = data[rig->board->ucsra] & 2 ? 8 : 16;
    return 10 * oversampling * (ubrr + 1);
}

/* simavr 1.6 counts eleven bits per byte, and only when UBRR is written. */
static void on_speed(struct avr_t *avr, avr_io_addr_t address, uint8_t value, void *param)
{
    (void)avr, (void)address, (void)value;
    rig_t *rig = param;
    rig->uart->cycles_per_byte = timing_byte_cycles(rig);
}

/* simavr 1.6 takes the next byte only when the last one has left. The hardware has a
 * buffer before its shift register: the next is taken as soon as the last one begins.
 * Runs after simavr's own handler of UDR and moves the timer that one set. */
static void on_udr(struct avr_t *avr, avr_io_addr_t address, uint8_t value, void *param)
{
    (void)address, (void)value;
    rig_t *rig = param;
    uint64_t start = rig->sent_until > avr->cycle ? rig->sent_until : avr->cycle + 1;
    avr_cycle_timer_cancel(avr, rig->udre_raise, rig->uart);
    avr_cycle_timer_register(avr, start - avr->cycle, rig->udre_raise, rig->uart);
    rig->uart->tx_cnt = 1; /* so that the timer finds the buffer empty */
    rig->sent_until = start + timing_byte_cycles(rig);
}

/* The function of simavr that the timer of UDR calls is found by making it set one. */
static void learn_udre_timer(rig_t *rig)
{
    avr_t *avr = rig->avr;
    avr_io_addr_t at = AVR_DATA_TO_IO(rig->uart->r_udr);
    avr->io[at].w.c(avr, rig->uart->r_udr, 0, avr->io[at].w.param);
    for (avr_cycle_timer_slot_p t = avr->cycle_timers.timer; t; t = t->next) {
        if (t->param == rig->uart) {
            rig->udre_raise = t->timer;
        }
    }
    avr_cycle_timer_cancel(avr, rig->udre_raise, rig->uart);
    avr_reset(avr);
}

/* One byte per ten bit times. The receiver holds two bytes and one in its shift
 * register; simavr would hold 64 and never lose one. */
void timing_feed(rig_t *rig)
{
    buffer_t *line = &rig->to_avr;
    uint8_t byte = line->bytes[line->taken++];
    uart_fifo_t *fifo = &rig->uart->input;
    rig->uart_due += timing_byte_cycles(rig);
    if (!avr_regbit_get(rig->avr, rig->uart->rxen)) {
        return; /* nobody listens: gone, as on a real line */
    }
    if (((fifo->write - fifo->read) & 63) >= 3) {
        rig->uart_overruns++;
        avr_regbit_set(rig->avr, rig->uart->dor);
        return;
    }
    avr_raise_irq(avr_io_getirq(rig->avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT),
                  byte);
}

void timing_attach(rig_t *rig)
{
    learn_udre_timer(rig);
    /* simavr would ask for the level of an external interrupt's pin at every cycle in
     * which it is low, five times as slow. No firmware here uses one. */
    for (uint8_t i = 0; i < EXTINT_COUNT; i++) {
        avr_extint_set_strict_lvl_trig(rig->avr, i, 0);
    }
    avr_register_io_write(rig->avr, rig->spi->r_spdr, on_spdr, rig);
    avr_register_io_write(rig->avr, rig->uart->r_udr, on_udr, rig);
    avr_register_io_write(rig->avr, rig->board->ubrr, on_speed, rig);
    avr_register_io_write(rig->avr, rig->board->ucsra, on_speed, rig);
}
