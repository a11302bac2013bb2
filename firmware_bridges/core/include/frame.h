/* Frames of the cell bridge on the wire, little endian:
 * COBS( version, type, sequence u16, time_ms u32, payload, CRC-16 ) 0x00
 * One damaged byte among the data is always found. One that was or becomes a zero or
 * the length of a block moves bytes about: then the CRC misses 1 of 65 536 blocks that
 * are still well stuffed (2 of 54 million damaged frames of 60 bytes). Type, length and
 * hash of the payload must also be right. */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_HEADER 8u
#define FRAME_PAYLOAD_MAX 112u
#define FRAME_RAW_MAX (FRAME_HEADER + FRAME_PAYLOAD_MAX + 2u)
#define FRAME_WIRE_MAX (FRAME_RAW_MAX + 2u) /* overhead byte and delimiter */
#define FRAME_DELIMITER 0x00u

typedef struct {
    uint8_t version;
    uint8_t type;
    uint16_t sequence;
    uint32_t time_ms;
    uint8_t length; /* of the payload */
    uint8_t payload[FRAME_PAYLOAD_MAX];
} frame_t;

/* Write the frame with its delimiter to out, which holds FRAME_WIRE_MAX.
 * Returns the length, 0 if the payload is too long. */
uint16_t frame_encode(const frame_t *frame, uint8_t *out);

/* Read n bytes without the delimiter; in is used as scratch. False: damaged. */
bool frame_decode(uint8_t *in, uint16_t n, frame_t *frame);

/* Little endian fields of a payload. */
void frame_put_u16(uint8_t *at, uint16_t value);
void frame_put_u32(uint8_t *at, uint32_t value);
uint16_t frame_get_u16(const uint8_t *at);
uint32_t frame_get_u32(const uint8_t *at);

#endif
