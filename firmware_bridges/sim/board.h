/* Where the lines of boards/avr/pins_*.h are, as data addresses: the board's wiring,
 * written down a second time so that a slip in one place is seen. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

typedef struct {
    char name;          /* port letter */
    uint16_t ddr, port; /* data addresses */
    uint8_t bit;
} pin_t;

typedef struct {
    const char *processor;
    const char *ports; /* letters of all ports in use */
    pin_t cs[3];       /* CAN, AFE, ADC */
    pin_t contactor, feedback, can_interrupt;
    uint16_t ucsra, ubrr, mcusr;
} board_t;

const board_t *board_of(const char *processor); /* NULL if unknown */

#endif
