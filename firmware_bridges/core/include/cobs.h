/* Consistent Overhead Byte Stuffing: bytes without a zero, so that zero may end a
 * frame. Cheshire and Baker, IEEE/ACM Trans. Networking 7(2), 1999,
 * doi:10.1109/90.769765. */
#ifndef COBS_H
#define COBS_H

#include <stdint.h>

/* Longest block taken: one overhead byte is enough. */
#define COBS_LONGEST 253u

/* Stuff n <= COBS_LONGEST bytes into out, which holds n + 1; no delimiter is added.
 * Returns the length, 0 if n is too long. */
uint16_t cobs_encode(const uint8_t *in, uint16_t n, uint8_t *out);

/* Unstuff n bytes (without the delimiter) into out, which holds n - 1. in and out may
 * be the same. Returns the length, 0 if this is no stuffed block. */
uint16_t cobs_decode(const uint8_t *in, uint16_t n, uint8_t *out);

#endif
