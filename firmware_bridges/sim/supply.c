/* The processor's supply: power-on reset, brown-out detector, reset line. simavr has
 * none of it. Microchip DS40002061 (ATmega328P), chapter "System Control and Reset" and
 * the tables of system and reset characteristics; DS40002211 (ATmega2560) alike.
 *
 * While it is held in reset no instruction runs and every pin is an input; it starts a
 * while after the cause is over, with the causes in MCUSR. Between the level of the
 * detector and the 4.5 V that 16 MHz needs a real chip may do anything: that is not
 * modelled, it runs on.
 *
 * Control lines:
 *   supply MV           the supply from now on, 0 to 5500 mV
 *   supply detector MV  level of the brown-out fuse; 0: switched off
 *   reset line 0|1      hold the reset line low, or let it go
 *   reset BITS          a reset without any duration that keeps the memory; BITS of
 *                       MCUSR: 1 power-on, 2 external, 4 brown-out, 8 watchdog */
#include "rig_state.h"

#include <stdio.h>

#define POWER_ON 1u
#define EXTERNAL 2u
#define BROWN_OUT 4u
#define POWER_ON_MV 1300u  /* falling, typical */
#define HYSTERESIS_MV 50u  /* typical */
#define START_UP (RIG_HZ / 1000u * 65u) /* longest time-out; low fuse of the Arduinos */
#define LOWEST_MV 1800u    /* below it nothing runs, detector or not */

static uint8_t causes_now(const rig_t *rig)
{
    uint8_t found = 0;
    unsigned level = rig->brown_out_mv;
    if (level && rig->reset_until && (rig->causes & BROWN_OUT)) {
        level += HYSTERESIS_MV;
    }
    if (rig->reset_line) {
        found |= EXTERNAL;
    }
    if (rig->supply_mv < level) {
        found |= BROWN_OUT;
    }
    if (rig->supply_mv < (level ? POWER_ON_MV : LOWEST_MV)) {
        found |= POWER_ON;
    }
    return found;
}

static void look(rig_t *rig)
{
    uint8_t found = causes_now(rig);
    if (found) {
        rig->causes |= found;
        if (rig->reset_until == 0) {
            avr_reset(rig->avr);
        }
        rig->reset_until = NEVER;
    } else if (rig->reset_until == NEVER) {
        rig->reset_until = rig->avr->cycle + START_UP;
    }
}

static void start(rig_t *rig, uint8_t causes)
{
    avr_reset(rig->avr);
    rig->avr->data[rig->board->mcusr] = causes;
    rig->reset_until = 0;
    rig->causes = 0;
}

void supply_step(rig_t *rig)
{
    rig->avr->cycle += RIG_HZ / 1000000u;
    if (rig->avr->cycle >= rig->reset_until) {
        if (rig->causes & POWER_ON) { /* the memory holds anything */
            for (unsigned at = rig->avr->ioend + 1u; at <= rig->avr->ramend; at++) {
                rig->avr->data[at] = (uint8_t)(rig->avr->data[at] * 5u + at);
            }
        }
        start(rig, rig->causes);
    }
}

int supply_command(rig_t *rig, const char *line)
{
    unsigned value;
    if (sscanf(line, "supply detector %u", &value) == 1) {
        rig->brown_out_mv = value;
    } else if (sscanf(line, "supply %u", &value) == 1 && value <= 5500) {
        rig->supply_mv = value;
    } else if (sscanf(line, "reset line %u", &value) == 1) {
        rig->reset_line = value != 0;
    } else if (sscanf(line, "reset %u", &value) == 1) {
        start(rig, (uint8_t)value);
    } else {
        return 0;
    }
    look(rig);
    return 1;
}

void supply_attach(rig_t *rig)
{
    rig->supply_mv = 5000;
    rig->brown_out_mv = 4300; /* as README.md of the bridges tells to set it */
}
