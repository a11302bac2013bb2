/* An Arduino with chips around it, in emulated time. Nothing here looks at a clock.
 * cffi reads this file's declarations: keep them plain. */
#ifndef RIG_H
#define RIG_H

#include <stddef.h>
#include <stdint.h>

typedef struct rig rig_t;

rig_t *rig_open(const char *elf, const char *processor); /* NULL: see stderr */
void rig_close(rig_t *rig);
uint64_t rig_cycle(const rig_t *rig); /* 16 000 per millisecond */
void rig_run(rig_t *rig, uint64_t cycles);
/* Bytes for the serial line: queued without limit, sent at line rate. */
void rig_write(rig_t *rig, const uint8_t *bytes, size_t n);
size_t rig_unsent(const rig_t *rig);
/* Bytes the firmware sent, at most n; returns how many. */
size_t rig_read(rig_t *rig, uint8_t *bytes, size_t n);
/* Paint the memory from an address on, before the firmware runs; later: how many bytes
 * from there are still painted, so how deep the stack never was. */
void rig_paint_ram(rig_t *rig, unsigned first);
unsigned rig_painted_ram(const rig_t *rig, unsigned first);
/* Serve one control line; the answer is good until the next call. */
const char *rig_command(rig_t *rig, const char *line);

#endif
