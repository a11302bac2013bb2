#include "ring.h"

void ring_init(ring_t *ring, uint8_t size)
{
    ring->size = size;
    ring->count = 0u;
    ring->first = 0u;
}

bool ring_is_full(const ring_t *ring)
{
    return ring->count >= ring->size;
}

bool ring_is_empty(const ring_t *ring)
{
    return ring->count == 0u;
}

uint8_t ring_put(ring_t *ring)
{
    uint16_t slot = (uint16_t)((uint16_t)ring->first + ring->count);

    if (slot >= ring->size) {
        slot = (uint16_t)(slot - ring->size);
    }
    ring->count++;
    return (uint8_t)slot;
}

uint8_t ring_front(const ring_t *ring)
{
    return ring->first;
}

void ring_drop(ring_t *ring)
{
    if (ring->count > 0u) {
        ring->count--;
        ring->first++;
        if (ring->first >= ring->size) {
            ring->first = 0u;
        }
    }
}
