/* A classic CAN frame. */
#ifndef CAN_FRAME_H
#define CAN_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define CAN_DATA_MAX 8u

typedef struct {
    uint32_t id;
    uint32_t stamp; /* of reception, in the unit the channel was asked for */
    bool extended;
    bool remote;
    uint8_t dlc;
    uint8_t data[CAN_DATA_MAX];
} can_frame_t;

#endif
