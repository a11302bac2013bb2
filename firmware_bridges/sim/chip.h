/* A chip model on the SPI bus of the rig.
 *
 * To add one: write model_<part>.c from the data sheet, with a function that returns
 * a chip_t, and name it in the table of rig.c. Its control lines ("<name> words ...")
 * arrive in `command`, which answers with rig_say; every line gets one answer line. */
#ifndef CHIP_H
#define CHIP_H

#include <stdint.h>

typedef struct rig rig_t;
typedef struct chip chip_t;

#define NEVER UINT64_MAX

struct chip {
    const char *name; /* first word of its control lines */
    rig_t *rig;
    uint64_t due; /* processor cycle at which `run` is wanted, NEVER if at none */
    void (*select)(chip_t *, int selected);       /* chip select went low or high */
    uint8_t (*transfer)(chip_t *, uint8_t mosi);  /* a byte in, a byte out */
    void (*run)(chip_t *, uint64_t now);          /* may be NULL if due stays NEVER */
    void (*command)(chip_t *, char *words);       /* what follows the name */
    void (*free)(chip_t *);
};

#define RIG_HZ 16000000u

uint64_t rig_cycle(const rig_t *rig); /* processor cycles since power on */
/* Append to the answer of the control line being served. */
void rig_say(rig_t *rig, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Level of the MCP2515's interrupt line, as the processor sees it. */
void rig_can_interrupt(rig_t *rig, int high);

chip_t *model_mcp2515(rig_t *rig);
chip_t *model_ltc6811(rig_t *rig) __attribute__((weak));
chip_t *model_mcp3208(rig_t *rig) __attribute__((weak));

#endif
