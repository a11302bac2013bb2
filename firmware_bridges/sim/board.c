#include "board.h"

#include <stddef.h>
#include <string.h>

/* Data addresses: register summaries of DS40002061 and DS40002211. */
#define PORT_B(bit) {'B', 0x24, 0x25, bit}
#define PORT_D(bit) {'D', 0x2A, 0x2B, bit}
#define PORT_E(bit) {'E', 0x2D, 0x2E, bit}
#define PORT_H(bit) {'H', 0x101, 0x102, bit}

static const board_t boards[] = {
    {
        .processor = "atmega328p",
        .ports = "BD",
        .cs = {PORT_B(2), PORT_B(1), PORT_B(0)},
        .contactor = PORT_D(5),
        .feedback = PORT_D(3),
        .can_interrupt = PORT_D(2),
        .ucsra = 0xC0,
        .ubrr = 0xC4,
        .mcusr = 0x54,
    },
    {
        .processor = "atmega2560",
        .ports = "BEH",
        .cs = {PORT_B(4), PORT_H(6), PORT_H(5)},
        .contactor = PORT_E(3),
        .feedback = PORT_E(5),
        .can_interrupt = PORT_E(4),
        .ucsra = 0xC0,
        .ubrr = 0xC4,
        .mcusr = 0x54,
    },
};

const board_t *board_of(const char *processor)
{
    for (size_t i = 0; i < sizeof boards / sizeof boards[0]; i++) {
        if (strcmp(boards[i].processor, processor) == 0) {
            return &boards[i];
        }
    }
    return NULL;
}
