/* What the fuzz targets share: memory of an exact size, so that the address sanitizer
 * sees a byte too far, and a promise that stops the run when broken. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void promise(int holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static inline uint8_t *copy_of(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + (size == 0u)); /* of one byte at least */

    promise(copy != NULL);
    memcpy(copy, data, size);
    return copy;
}

#endif
