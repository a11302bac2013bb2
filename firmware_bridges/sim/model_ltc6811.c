/* LTC6811-1, one or two in a daisy chain, written from Analog Devices' data sheet
 * (rev. B): state diagram figure 1, timing page 8, commands table 38, register groups
 * tables 40 to 50, PEC page 58, daisy chain pages 60 to 62. Nothing is shared with the
 * driver.
 *
 * Control lines:
 *   afe cell CHIP CELL CODE   input CELL (0 to 11) in 0.1 mV
 *   afe all CODE              every input of both chips
 *   afe chips N               how many are in the chain
 *   afe dead 0|1              no answer: the line stays high
 *   afe mute CHIP             from this chip (counted from 0) on nobody answers; 2: all do
 *   afe corrupt N             flip one bit in each of the next N register groups read
 *   afe stuck 0|1             registers keep what they hold, with a right PEC
 *   afe unconverted 0|1       conversions are not carried out
 *   afe stat                  commands=... bad_pec=... conversions=... sleeps=... */
#include "chip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHIPS 2
#define CELLS 12
#define US (RIG_HZ / 1000000u)
#define T_WAKE (400u * US)
#define T_SLEEP (1800000ull * US) /* without a valid command; minimum */
#define T_REFUP (4400u * US)
#define T_CONVERT (2335u * US) /* 12 cells at 7 kHz */

typedef struct {
    chip_t chip;
    uint16_t input[CHIPS][CELLS];
    uint8_t cells[CHIPS][2 * CELLS]; /* cell voltage groups A to D */
    uint8_t configuration[CHIPS][6];
    int n_chips, dead, mute, corrupt, stuck, unconverted;
    int awake, converting, reference_on;
    uint64_t ready_at, valid_at, reference_at, converted_at;
    uint8_t in[64];
    unsigned n_in;
    int reading; /* -1 nothing, else the first byte of the group in `cells`; 100 CFG */
    unsigned commands, bad_pec, conversions, sleeps;
} ltc_t;

/* The data sheet's own formulation: IN0 to IN14 of the shift register, page 58. */
static void pec_of(const uint8_t *data, unsigned n, uint8_t out[2])
{
    unsigned pec[15] = {[4] = 1};
    for (unsigned i = 0; i < 8 * n; i++) {
        unsigned din = data[i / 8] >> (7 - i % 8) & 1;
        unsigned in0 = din ^ pec[14], old[15];
        memcpy(old, pec, sizeof old);
        for (int k = 14; k > 0; k--) {
            int tap = k == 3 || k == 4 || k == 7 || k == 8 || k == 10 || k == 14;
            pec[k] = old[k - 1] ^ (tap ? in0 : 0);
        }
        pec[0] = in0;
    }
    unsigned value = 0;
    for (int k = 14; k >= 0; k--) {
        value = value << 1 | pec[k];
    }
    value <<= 1;
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static int pec_is_right(const uint8_t *data, unsigned n)
{
    uint8_t pec[2];
    pec_of(data, n, pec);
    return pec[0] == data[n] && pec[1] == data[n + 1];
}

static void fall_asleep(ltc_t *ltc)
{
    ltc->awake = 0;
    ltc->reference_on = 0;
    ltc->converting = 0;
    ltc->sleeps++;
    memset(ltc->configuration, 0, sizeof ltc->configuration);
    for (int i = 0; i < CHIPS; i++) {
        ltc->configuration[i][0] = 0xF8;
        memset(ltc->cells[i], 0xFF, sizeof ltc->cells[i]);
    }
}

/* Finish what took time since the chip was last looked at. */
static void catch_up(ltc_t *ltc, uint64_t now)
{
    if (ltc->converting && now >= ltc->converted_at) {
        ltc->converting = 0;
        for (int i = 0; i < CHIPS && !ltc->stuck; i++) {
            for (int cell = 0; cell < CELLS; cell++) {
                ltc->cells[i][2 * cell] = (uint8_t)ltc->input[i][cell];
                ltc->cells[i][2 * cell + 1] = (uint8_t)(ltc->input[i][cell] >> 8);
            }
        }
    }
    if (ltc->awake && now - ltc->valid_at > T_SLEEP) {
        fall_asleep(ltc);
    }
}

static void obey(ltc_t *ltc, uint16_t command, uint64_t now)
{
    ltc->commands++;
    ltc->valid_at = now;
    ltc->reading = -1;
    if (command == 0x0711 && !ltc->stuck) { /* CLRCELL */
        for (int i = 0; i < CHIPS; i++) {
            memset(ltc->cells[i], 0xFF, sizeof ltc->cells[i]);
        }
    } else if ((command & 0x66F) == 0x260 && (command & 7) == 0) { /* ADCV, all cells */
        if ((command & 0x180) != 0x100) {
            return; /* only MD = 10, 7 kHz, is modelled */
        }
        ltc->conversions++;
        if (!ltc->unconverted) {
            uint64_t from = now;
            if (!ltc->reference_on) {
                from += T_REFUP;
            } else if (ltc->reference_at > now) {
                from = ltc->reference_at;
            }
            ltc->converting = 1;
            ltc->converted_at = from + T_CONVERT;
        }
    } else if (command >= 4 && command <= 10 && command % 2 == 0) { /* RDCVA to RDCVD */
        ltc->reading = (command - 4) * 3;
    } else if (command == 2) { /* RDCFGA */
        ltc->reading = 100;
    }
}

static void finish_write(ltc_t *ltc, uint64_t now)
{
    /* The first six bytes go through to the last chip of the chain. */
    for (int i = 0; i < ltc->n_chips; i++) {
        const uint8_t *data = ltc->in + 4 + 8 * (ltc->n_chips - 1 - i);
        if (!pec_is_right(data, 6)) {
            ltc->bad_pec++;
            continue;
        }
        memcpy(ltc->configuration[i], data, 6);
    }
    int on = ltc->configuration[0][0] >> 2 & 1;
    if (on && !ltc->reference_on) {
        ltc->reference_at = now + T_REFUP;
    }
    ltc->reference_on = on;
}

static void on_select(chip_t *chip, int selected)
{
    ltc_t *ltc = (ltc_t *)chip;
    uint64_t now = rig_cycle(chip->rig);
    catch_up(ltc, now);
    if (selected) {
        if (!ltc->awake) {
            ltc->awake = 1;
            ltc->ready_at = now + T_WAKE * (unsigned)ltc->n_chips;
            ltc->valid_at = now;
        }
    } else if (ltc->n_in == 4u + 8u * (unsigned)ltc->n_chips && ltc->in[0] == 0
               && ltc->in[1] == 1 && pec_is_right(ltc->in, 2)) {
        finish_write(ltc, now); /* WRCFGA takes effect when chip select rises */
    }
    ltc->n_in = 0;
    ltc->reading = -1;
}

static uint8_t answer_byte(ltc_t *ltc, unsigned at)
{
    unsigned which = at / 8, byte = at % 8;
    uint8_t group[8];
    if (which >= (unsigned)ltc->n_chips || which >= (unsigned)ltc->mute) {
        return 0xFF;
    }
    memcpy(group,
           ltc->reading == 100 ? ltc->configuration[which]
                               : ltc->cells[which] + ltc->reading,
           6);
    pec_of(group, 6, group + 6);
    if (ltc->corrupt > 0) {
        group[ltc->corrupt % 8] ^= (uint8_t)(1u << ltc->corrupt % 7);
        ltc->corrupt -= byte == 7;
    }
    return group[byte];
}

static uint8_t transfer(chip_t *chip, uint8_t mosi)
{
    ltc_t *ltc = (ltc_t *)chip;
    uint64_t now = rig_cycle(chip->rig);
    uint8_t miso = 0xFF;
    catch_up(ltc, now);
    if (ltc->dead || !ltc->awake || now < ltc->ready_at) {
        return 0xFF;
    }
    if (ltc->n_in >= 4 && ltc->reading >= 0) {
        miso = answer_byte(ltc, ltc->n_in - 4);
    }
    if (ltc->n_in < sizeof ltc->in) {
        ltc->in[ltc->n_in] = mosi;
        ltc->n_in++;
    }
    if (ltc->n_in == 4) {
        if (pec_is_right(ltc->in, 2)) {
            obey(ltc, (uint16_t)(ltc->in[0] << 8 | ltc->in[1]), now);
        } else {
            ltc->bad_pec++;
        }
    }
    return miso;
}

static void command(chip_t *chip, char *words)
{
    ltc_t *ltc = (ltc_t *)chip;
    unsigned a, b, c;
    if (sscanf(words, "cell %u %u %u", &a, &b, &c) == 3 && a < CHIPS && b < CELLS) {
        ltc->input[a][b] = (uint16_t)c;
    } else if (sscanf(words, "all %u", &a) == 1) {
        for (int i = 0; i < CHIPS * CELLS; i++) {
            ltc->input[i / CELLS][i % CELLS] = (uint16_t)a;
        }
    } else if (sscanf(words, "chips %u", &a) == 1 && a <= CHIPS) {
        ltc->n_chips = (int)a;
    } else if (sscanf(words, "dead %u", &a) == 1) {
        ltc->dead = a != 0;
    } else if (sscanf(words, "mute %u", &a) == 1) {
        ltc->mute = (int)a;
    } else if (sscanf(words, "corrupt %u", &a) == 1) {
        ltc->corrupt = (int)a;
    } else if (sscanf(words, "stuck %u", &a) == 1) {
        ltc->stuck = a != 0;
    } else if (sscanf(words, "unconverted %u", &a) == 1) {
        ltc->unconverted = a != 0;
    } else if (strncmp(words, "pec ", 4) == 0) {
        uint8_t data[16], pec[2];
        unsigned n = 0;
        for (const char *at = words + 4; n < sizeof data && sscanf(at, "%2x", &a) == 1;
             at += 2) {
            data[n++] = (uint8_t)a;
        }
        pec_of(data, n, pec);
        rig_say(chip->rig, "%02x%02x", pec[0], pec[1]);
        return;
    } else if (strcmp(words, "stat") == 0) {
        rig_say(chip->rig, "commands=%u bad_pec=%u conversions=%u sleeps=%u",
                ltc->commands, ltc->bad_pec, ltc->conversions, ltc->sleeps);
        return;
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

chip_t *model_ltc6811(rig_t *rig)
{
    ltc_t *ltc = calloc(1, sizeof *ltc);
    ltc->chip = (chip_t){.name = "afe", .rig = rig, .due = NEVER, .select = on_select,
                         .transfer = transfer, .command = command, .free = done};
    ltc->n_chips = 1;
    ltc->mute = CHIPS;
    ltc->reading = -1;
    fall_asleep(ltc);
    ltc->sleeps = 0;
    for (int i = 0; i < CHIPS * CELLS; i++) {
        ltc->input[i / CELLS][i % CELLS] = 36000;
    }
    return &ltc->chip;
}
