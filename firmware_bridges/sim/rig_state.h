/* The rig's own state, shared by rig.c and timing.c alone. */
#ifndef RIG_STATE_H
#define RIG_STATE_H

#include "board.h"
#include "chip.h"
#include "rig.h"

#include <simavr/avr_spi.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>

#define CHIPS 3
#define LOG_LENGTH 4096

typedef struct {
    uint8_t *bytes;
    size_t used, taken, room;
} buffer_t;

struct rig {
    avr_io_t io; /* first: simavr calls reset with it */
    avr_t *avr;
    const board_t *board;
    chip_t *chip[CHIPS]; /* in the order of hal.h: CAN, AFE, ADC */
    int selected[CHIPS];
    int has_can; /* the CAN controller was spoken to */
    avr_uart_t *uart;
    avr_spi_t *spi;
    avr_irq_t *miso; /* looked up once: simavr asks every module */
    buffer_t to_avr, from_avr, answer;
    uint64_t uart_due;   /* when the next received byte is complete */
    uint64_t sent_until; /* when the shift register of the sender is free */
    avr_cycle_timer_t udre_raise;
    /* What happened, for the `stat` line. */
    unsigned resets, uart_overruns, spi_contentions;
    uint64_t spi_bytes;
    int spi_hung;         /* no transfer ever ends: the firmware waits for ever */
    unsigned spi_slow_us; /* each transfer ends so much later */
    /* The supply, and the reset that it or the reset line holds (supply.c). */
    unsigned supply_mv, brown_out_mv;
    int reset_line; /* held low */
    uint8_t causes; /* of the present reset, bits of MCUSR */
    uint64_t reset_until; /* 0: it runs; NEVER: held */
    /* The contactor: its coil line, and the contact that follows after a delay. */
    int coil, contact, welded, stuck_open;
    uint8_t pulled, pulled_to; /* input pins driven from outside, and their levels */
    uint64_t contact_due, contact_delay;
    struct {
        uint64_t cycle;
        int level;
    } log[LOG_LENGTH];
    unsigned logged;
};

/* What simavr 1.6 gets wrong about time (timing.c). */
void timing_attach(rig_t *rig);
unsigned timing_byte_cycles(const rig_t *rig); /* of one byte on the serial line */
void timing_feed(rig_t *rig);                  /* the next byte reaches the receiver */

/* Supply, brown-out detector and reset line (supply.c). */
void supply_attach(rig_t *rig);
int supply_command(rig_t *rig, const char *line); /* 0: not one of its lines */
void supply_step(rig_t *rig); /* one microsecond in reset */

/* What a programmer reads and writes; answers by itself (programmer.c). */
int programmer_command(rig_t *rig, const char *line); /* 0: not one of its lines */

#endif
