#include "rig_state.h"

#define PAINT 0x5A

void rig_paint_ram(rig_t *rig, unsigned first)
{
    for (unsigned at = first; at <= rig->avr->ramend; at++) {
        rig->avr->data[at] = PAINT;
    }
}

unsigned rig_painted_ram(const rig_t *rig, unsigned first)
{
    unsigned at = first;
    while (at <= rig->avr->ramend && rig->avr->data[at] == PAINT) {
        at++;
    }
    return at - first;
}
