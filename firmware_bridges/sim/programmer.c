/* What an ISP programmer does to the EEPROM, as avrdude -U eeprom:r and :w do. The
 * processor stands in reset meanwhile, so a write ends with a reset from outside.
 *
 * Control lines:
 *   eeprom read ADDRESS N    N bytes in hex
 *   eeprom write ADDRESS HEX */
#include "rig_state.h"

#include <simavr/avr_eeprom.h>
#include <stdio.h>
#include <string.h>

#define MOST 256

/* Its bytes, or NULL if there are none at these addresses. simavr's own request to set
 * them refuses address 0. */
static uint8_t *eeprom_at(rig_t *rig, unsigned address, unsigned n)
{
    for (avr_io_t *io = rig->avr->io_port; io; io = io->next) {
        avr_eeprom_t *eeprom = (avr_eeprom_t *)io;
        if (strcmp(io->kind, "eeprom") == 0 && address + n <= eeprom->size) {
            return eeprom->eeprom + address;
        }
    }
    rig_say(rig, "no such address");
    return NULL;
}

static void read_out(rig_t *rig, unsigned address, unsigned n)
{
    const uint8_t *bytes = eeprom_at(rig, address, n);
    for (unsigned i = 0; bytes && i < n; i++) {
        rig_say(rig, "%02X", bytes[i]);
    }
}

static void write_in(rig_t *rig, unsigned address, const char *hex)
{
    unsigned n = (unsigned)strlen(hex) / 2, byte;
    uint8_t *bytes = eeprom_at(rig, address, n);
    if (bytes == NULL) {
        return;
    }
    for (unsigned i = 0; i < n && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++) {
        bytes[i] = (uint8_t)byte;
    }
    supply_command(rig, "reset 2");
    rig_say(rig, "ok");
}

int programmer_command(rig_t *rig, const char *line)
{
    unsigned address, n;
    char hex[2 * MOST + 1];
    if (sscanf(line, "eeprom read %u %u", &address, &n) == 2 && n <= MOST) {
        read_out(rig, address, n);
    } else if (sscanf(line, "eeprom write %u %512s", &address, hex) == 2) {
        write_in(rig, address, hex);
    } else {
        return 0;
    }
    return 1;
}
