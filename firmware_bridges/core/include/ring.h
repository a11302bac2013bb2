/* The bookkeeping of a ring of slots; the slots are the caller's array. */
#ifndef RING_H
#define RING_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint8_t size;  /* slots, at most 255 */
    uint8_t count; /* slots in use */
    uint8_t first; /* the oldest one */
} ring_t;

void ring_init(ring_t *ring, uint8_t size);
bool ring_is_full(const ring_t *ring);
bool ring_is_empty(const ring_t *ring);

/* Take the next free slot: fill slots[returned]. Only if not full. */
uint8_t ring_put(ring_t *ring);

/* The oldest slot, still in use. Only if not empty. */
uint8_t ring_front(const ring_t *ring);

/* Free the oldest slot. Nothing happens if empty. */
void ring_drop(ring_t *ring);

#endif
