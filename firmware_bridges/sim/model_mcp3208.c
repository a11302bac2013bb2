/* MCP3208, written from Microchip DS21298E: figure 5-1 and 6-1 (start bit, SGL/DIFF,
 * three channel bits, one bit time of sampling, a null bit, twelve bits). Bit by bit, as
 * the chip does it, so that any alignment a driver chooses is answered rightly.
 *
 * Control lines:
 *   analog CHANNEL CODE    what channel 0 to 7 converts to, 0 to 4095
 *   analog dead 0|1        no answer: the line stays high */
#include "chip.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
    chip_t chip;
    uint16_t code[8];
    int dead;
    int phase; /* bits since the start bit, -1 before it */
    unsigned channel, differential;
    uint16_t held;
} mcp_t;

static void on_select(chip_t *chip, int selected)
{
    (void)selected;
    ((mcp_t *)chip)->phase = -1;
}

static uint16_t convert(const mcp_t *mcp)
{
    if (!mcp->differential) {
        return mcp->code[mcp->channel];
    }
    int difference = mcp->code[mcp->channel] - mcp->code[mcp->channel ^ 1];
    return (uint16_t)(difference < 0 ? 0 : difference);
}

/* One rising edge of the clock; returns what stands on DOUT at it. */
static unsigned clock_bit(mcp_t *mcp, unsigned din)
{
    unsigned dout = 1; /* high impedance, pulled up */
    if (mcp->phase < 0) {
        mcp->phase = din ? 0 : -1;
        return dout;
    }
    mcp->phase++;
    if (mcp->phase == 1) {
        mcp->differential = !din;
        mcp->channel = 0;
    } else if (mcp->phase <= 4) {
        mcp->channel = mcp->channel << 1 | din;
    } else if (mcp->phase == 5) {
        mcp->held = convert(mcp); /* sampled until here */
    } else if (mcp->phase == 6) {
        dout = 0; /* the null bit */
    } else if (mcp->phase <= 18) {
        dout = mcp->held >> (18 - mcp->phase) & 1;
    } else {
        dout = 0; /* after the least significant bit: that of a repeat, or zeros */
    }
    return dout;
}

static uint8_t transfer(chip_t *chip, uint8_t mosi)
{
    mcp_t *mcp = (mcp_t *)chip;
    unsigned miso = 0;
    for (int bit = 7; bit >= 0; bit--) {
        miso = miso << 1 | clock_bit(mcp, mosi >> bit & 1);
    }
    return mcp->dead ? 0xFF : (uint8_t)miso;
}

static void command(chip_t *chip, char *words)
{
    mcp_t *mcp = (mcp_t *)chip;
    unsigned a, b;
    if (sscanf(words, "dead %u", &a) == 1) {
        mcp->dead = a != 0;
    } else if (sscanf(words, "%u %u", &a, &b) == 2 && a < 8 && b < 4096) {
        mcp->code[a] = (uint16_t)b;
    } else {
        rig_say(chip->rig, "unknown: %s", words);
        return;
    }
    rig_say(chip->rig, "ok");
}

static void done(chip_t *chip)
{
    free(chip);
}

chip_t *model_mcp3208(rig_t *rig)
{
    mcp_t *mcp = calloc(1, sizeof *mcp);
    mcp->chip = (chip_t){.name = "analog", .rig = rig, .due = NEVER, .select = on_select,
                         .transfer = transfer, .command = command, .free = done};
    mcp->phase = -1;
    for (int i = 0; i < 8; i++) {
        mcp->code[i] = 2048; /* no current, 25 degC, half the reference */
    }
    return &mcp->chip;
}
