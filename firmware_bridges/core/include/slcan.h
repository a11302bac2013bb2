/* SLCAN, the ASCII protocol of LAWICEL's CAN232 and CANUSB: lines to commands, frames
 * to lines, and what a channel remembers between them. The program around it owns the
 * chip and the serial line, and carries the commands out.
 *
 * References: LAWICEL CAN232 manual V3 and CANUSB manual V1; python-can 4.6,
 * can/interfaces/slcan.py, for what a host really sends. */
#ifndef SLCAN_H
#define SLCAN_H

#include "can_frame.h"

#include <stdbool.h>
#include <stdint.h>

#define SLCAN_OK ((uint8_t)'\r')
#define SLCAN_BELL ((uint8_t)0x07u)
#define SLCAN_LINE_MAX 26u  /* T, 8 digits, length, 16 digits; without the CR */
#define SLCAN_FRAME_MAX 35u /* with a stamp of 8 digits and the CR */

/* Bits of the answer to F. */
#define SLCAN_RX_FULL 0x01u        /* receive queue full: frames were lost */
#define SLCAN_TX_FULL 0x02u        /* a frame or line from the host was dropped */
#define SLCAN_WARNING 0x04u        /* error counter of 96 or more */
#define SLCAN_OVERRUN 0x08u        /* CAN chip overrun: at least one frame was lost */
#define SLCAN_PASSIVE 0x20u        /* error passive */
#define SLCAN_ARBITRATION 0x40u    /* a frame lost arbitration (and was sent later) */
#define SLCAN_BUS_ERROR 0x80u      /* an error on the bus, or bus off */

/* What a command asks the program to do. */
typedef enum {
    SLCAN_REFUSE,  /* answer BELL */
    SLCAN_ACCEPT,  /* answer CR: all that was asked is done */
    SLCAN_OPEN,    /* open the chip with btr0, btr1, mode; then CR */
    SLCAN_CLOSE,   /* close it; then CR */
    SLCAN_SEND,    /* send the frame; then slcan_sent */
    SLCAN_POLL,    /* one received frame, or CR if there is none */
    SLCAN_POLL_ALL, /* all of them, then A and CR */
    SLCAN_FLAGS,   /* slcan_flags_line with what the chip says */
    SLCAN_VERSION, /* V and four digits */
    SLCAN_SERIAL,  /* N and four characters */
    SLCAN_UART,    /* another speed of the serial line, `argument` is LAWICEL's code */
    SLCAN_STORE    /* open by itself after the next reset: `argument` 0 no, 1, 2 */
} slcan_action_t;

typedef enum { SLCAN_CLOSED, SLCAN_NORMAL, SLCAN_LISTEN } slcan_mode_t;
typedef enum { SLCAN_NO_STAMP, SLCAN_STAMP_MS, SLCAN_STAMP_US } slcan_stamp_t;

typedef struct {
    slcan_mode_t mode;
    slcan_stamp_t stamps;
    bool has_rate;
    uint8_t btr0; /* bus timing as in an SJA1000 with 16 MHz */
    uint8_t btr1;
    bool auto_poll;      /* frames are sent as they come */
    bool single_filter;  /* one acceptance filter instead of two */
    bool accepts_all;
    uint8_t code[4]; /* acceptance code and mask, as in an SJA1000; mask 1: any */
    uint8_t mask[4];
    uint8_t argument; /* of the last command */
    can_frame_t frame; /* of the last command that sends one */
} slcan_t;

void slcan_init(slcan_t *channel);

/* Take one line without its CR. */
slcan_action_t slcan_command(slcan_t *channel, const uint8_t *line, uint8_t n);

/* The answer to a frame taken for sending; returns the length, at most 2. */
uint8_t slcan_sent(const slcan_t *channel, uint8_t *out);

/* The line of a received frame, at most SLCAN_FRAME_MAX; returns the length. */
uint8_t slcan_frame_line(const slcan_t *channel, const can_frame_t *frame, uint8_t *out);

/* "Fhh" and CR; returns the length, 4. */
uint8_t slcan_flags_line(uint8_t flags, uint8_t *out);

/* Whether the acceptance filters let a received frame through. */
bool slcan_accepts(const slcan_t *channel, const can_frame_t *frame);

#endif
