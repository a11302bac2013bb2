/* A CAN bus in emulated time: one node under test (the chip model) and everybody else.
 * Frames take the bits they take on a wire, stuff bits and CRC computed (ISO 11898-1);
 * arbitration, acknowledgement and retransmission follow from them. */
#ifndef CAN_BUS_H
#define CAN_BUS_H

#include "chip.h"

typedef struct {
    uint32_t id;
    uint8_t extended, remote, dlc;
    uint8_t data[8];
} bus_frame_t;

/* What the bus tells the node, and asks it. */
typedef struct {
    void *self;
    /* A frame it wants to send, NULL if none; *since: the cycle it was asked for. */
    const bus_frame_t *(*offer)(void *self, uint64_t *since);
    void (*sent)(void *self);
    void (*failed)(void *self, int unacknowledged);
    void (*lost_arbitration)(void *self);
    void (*received)(void *self, const bus_frame_t *frame);
    void (*receive_error)(void *self);
    void (*idle)(void *self); /* nothing on the bus: a mode may change */
    /* Set by the node: bits per second as its timing registers make them, 0 while it
     * takes no part; whether it drives the bus. */
    double bit_rate;
    int drives, error_passive;
} bus_node_t;

typedef struct can_bus can_bus_t;

can_bus_t *can_bus_new(rig_t *rig, bus_node_t *node);
void can_bus_free(can_bus_t *bus);
/* Advance to `now`; returns the cycle at which to call again. */
uint64_t can_bus_run(can_bus_t *bus, uint64_t now);
int can_bus_is_busy(const can_bus_t *bus);
double can_bus_bit_cycles(const can_bus_t *bus);
/* Serve a control line; 0 if it is none of the bus:
 *   bitrate N | ack 0|1 (whether the others acknowledge) | fault 0|1 (a short)
 *   send ID#HEX | send ID#R4       a frame of the others, 3 or 8 digits of identifier
 *   load COUNT PERIOD_US ID DLC    many: the first four bytes count from 0, the rest is
 *                                  their complement; period 0 is back to back
 *   unsent                         how many frames of the others still wait
 *   sent                           frames of the node so far: ID#HEX ..., then forgotten
 *   bus                            counters of the bus */
int can_bus_command(can_bus_t *bus, char *words);

/* Bits from start of frame to end of frame, without the intermission of three. */
unsigned bus_frame_bits(const bus_frame_t *frame);

#endif
