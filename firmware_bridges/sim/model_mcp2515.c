/* MCP2515, from Microchip data sheet DS20001801J; section and register numbers are its.
 * Not modelled: sleep, loopback, CLKOUT, the TXnRTS and RXnBF pins. */
#include "mcp2515_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Timing, section 5 ---------------------------------------------------------------- */

static double bit_rate(const mcp_t *m)
{
    double quantum = 2.0 * ((m->reg[CNF1] & 0x3F) + 1) / m->crystal_hz;
    int propagation = (m->reg[CNF2] & 7) + 1;
    int phase1 = (m->reg[CNF2] >> 3 & 7) + 1;
    int phase2 = (m->reg[CNF3] & 7) + 1;
    int jump = (m->reg[CNF1] >> 6) + 1;
    if (!(m->reg[CNF2] & 0x80)) { /* BTLMODE 0: the greater of phase 1 and 2 quanta */
        phase2 = phase1 > 2 ? phase1 : 2;
    }
    if (phase2 < 2 || phase2 <= jump || propagation + phase1 < phase2) {
        return 1.0; /* section 5.5 forbids it: no bus has this rate */
    }
    return 1.0 / (quantum * (1 + propagation + phase1 + phase2));
}

/* --- State that follows from other state ------------------------------------------------ */

void mcp2515_refresh(mcp_t *m)
{
    uint8_t old = m->reg[EFLG];
    uint8_t errors = old & (RX0OVR | RX1OVR);
    errors |= m->recover_at > 0 ? TXBO : 0;
    errors |= m->tec > 127 ? 0x10 : 0;
    errors |= m->rec > 127 ? 0x08 : 0;
    errors |= m->tec > 95 ? 0x04 : 0;
    errors |= m->rec > 95 ? 0x02 : 0;
    errors |= errors & 0x06 ? 0x01 : 0;
    m->reg[EFLG] = errors;
    if (errors & ~old) {
        m->reg[CANINTF] |= ERRIF;
    }
    m->reg[TEC] = (uint8_t)(m->tec > 255 ? 255 : m->tec);
    m->reg[REC] = (uint8_t)(m->rec > 255 ? 255 : m->rec);
    m->reg[CANSTAT] = (uint8_t)(m->mode << 5);
    m->node.bit_rate =
        (m->mode == NORMAL || m->mode == LISTEN) && m->recover_at == 0 ? bit_rate(m) : 0;
    m->node.drives = m->mode == NORMAL;
    m->node.error_passive = m->tec > 127 || m->rec > 127;
    rig_can_interrupt(m->chip.rig, !(m->reg[CANINTF] & m->reg[CANINTE]));
    m->chip.due = 0; /* let the bus look at once */
}

static void reset(mcp_t *m)
{
    memset(m->reg, 0, sizeof m->reg);
    m->reg[CANCTRL] = 0x87; /* configuration mode, CLKOUT / 8 */
    m->mode = CONFIGURATION;
    m->tec = m->rec = 0;
    m->recover_at = 0;
    mcp2515_refresh(m);
}

/* --- Registers ---------------------------------------------------------------------- */

static int only_in_configuration(unsigned a)
{
    return a == TXRTSCTRL || (a >= CNF3 && a <= CNF1) || (a < 0x2C && a >= RXM0 && a < CNF3)
           || (a < 0x1C && a != BFPCTRL && (a & 0x0F) < 0x0C);
}

static void write_control(mcp_t *m, uint8_t value)
{
    m->reg[CANCTRL] = value;
    if (value & ABORT_ALL) {
        for (int i = 0; i < 3; i++) {
            if ((*tx(m, i) & TXREQ) && m->sending != i) {
                *tx(m, i) = (uint8_t)((*tx(m, i) & ~TXREQ) | ABTF);
            }
        }
    }
}

/* `bits`: which of the value are written (BIT MODIFY); all for WRITE. */
static void write_register(mcp_t *m, unsigned address, uint8_t value, uint8_t bits)
{
    unsigned a = address & 0x7F;
    uint8_t *r = &m->reg[a];
    uint8_t writable = 0xFF;
    if ((a & 0x0F) == 0x0E || a == TEC || a == REC) {
        return; /* CANSTAT, which appears in every row, and the counters are read only */
    }
    if ((a & 0x0F) == 0x0F) {
        write_control(m, (uint8_t)((m->reg[CANCTRL] & ~bits) | (value & bits)));
        return;
    }
    if (only_in_configuration(a) && m->mode != CONFIGURATION) {
        return;
    }
    if (a == EFLG) {
        writable = RX0OVR | RX1OVR;
    } else if (a == RXB0CTRL) {
        writable = 0x64;
    } else if (a == RXB1CTRL) {
        writable = 0x60;
    } else if (a > RXB0CTRL) {
        return; /* received frames */
    } else if (a >= TXB0CTRL && a < RXB0CTRL) {
        int buffer = (int)(a - TXB0CTRL) >> 4;
        if (a & 0x0F) {
            if (*tx(m, buffer) & TXREQ) {
                return; /* section 3.1: not while a request is pending */
            }
        } else {
            writable = 0x0B;
            if (value & bits & TXREQ && !(*r & TXREQ)) {
                *r &= (uint8_t)~(ABTF | MLOA | TXERR);
                m->asked[buffer] = rig_cycle(m->chip.rig);
            }
        }
    }
    bits &= writable;
    *r = (uint8_t)((*r & ~bits) | (value & bits));
}

static uint8_t read_register(mcp_t *m, unsigned address)
{
    unsigned a = address & 0x7F;
    if ((a & 0x0F) >= 0x0E) {
        return m->reg[a & 1 ? CANCTRL : CANSTAT];
    }
    return m->reg[a];
}

/* --- SPI, section 12 ------------------------------------------------------------------ */

static uint8_t quick_status(const mcp_t *m)
{
    uint8_t s = m->reg[CANINTF] & 3;
    for (int i = 0; i < 3; i++) {
        s |= m->reg[TXB0CTRL + 0x10 * i] & TXREQ ? (uint8_t)(4 << 2 * i) : 0;
        s |= m->reg[CANINTF] & TX0IF << i ? (uint8_t)(8 << 2 * i) : 0;
    }
    return s;
}

static uint8_t receive_status(const mcp_t *m)
{
    unsigned full = m->reg[CANINTF] & 3;
    const uint8_t *r = &m->reg[full & 1 ? RXB0CTRL : RXB1CTRL];
    unsigned remote = r[2] & 8 ? r[5] >> 6 & 1 : r[2] >> 4 & 1;
    return (uint8_t)(full << 6 | (r[2] & 8) << 1 | remote << 3 | (r[0] & 7));
}

static const uint8_t read_from[4] = {0x61, 0x66, 0x71, 0x76};
static const uint8_t load_at[6] = {0x31, 0x36, 0x41, 0x46, 0x51, 0x56};

static void first_byte(mcp_t *m, uint8_t code)
{
    if (code == 0xC0) {
        reset(m);
    } else if ((code & 0xF9) == 0x90) {
        m->pointer = read_from[code >> 1 & 3];
    } else if ((code & 0xF8) == 0x40 && (code & 7) < 6) {
        m->pointer = load_at[code & 7];
    } else if ((code & 0xF8) == 0x80) {
        for (int i = 0; i < 3; i++) {
            if (code >> i & 1) {
                write_register(m, (unsigned)(TXB0CTRL + 0x10 * i), TXREQ, TXREQ);
            }
        }
    }
}

static uint8_t mcp_transfer(chip_t *chip, uint8_t mosi)
{
    mcp_t *m = (mcp_t *)chip;
    uint8_t code = m->spi[0], out = 0xFF;
    unsigned n = m->spi_n++;
    if (n == 0) {
        m->spi[0] = mosi;
        first_byte(m, mosi);
    } else if (code == 0x03) {
        if (n == 1) {
            m->pointer = mosi;
        } else {
            out = read_register(m, m->pointer++);
        }
    } else if (code == 0x02) {
        if (n == 1) {
            m->pointer = mosi;
        } else {
            write_register(m, m->pointer++, mosi, 0xFF);
        }
    } else if (code == 0x05 && n < 4) {
        m->spi[n] = mosi;
        if (n == 3) {
            write_register(m, m->spi[1], mosi, m->spi[2]);
        }
    } else if (code == 0xA0) {
        out = quick_status(m);
    } else if (code == 0xB0) {
        out = receive_status(m);
    } else if ((code & 0xF9) == 0x90) {
        out = read_register(m, m->pointer++);
    } else if ((code & 0xF8) == 0x40) {
        write_register(m, m->pointer++, mosi, 0xFF);
    }
    if (n > 0 || code == 0xC0) {
        mcp2515_refresh(m);
    }
    return out;
}

static void mcp_select(chip_t *chip, int selected)
{
    mcp_t *m = (mcp_t *)chip;
    if (!selected && m->spi_n > 0 && (m->spi[0] & 0xF9) == 0x90) {
        m->reg[CANINTF] &= (uint8_t)~(m->spi[0] & 4 ? RX1IF : RX0IF);
    }
    m->spi_n = 0;
    mcp2515_refresh(m);
}

/* --- The chip ------------------------------------------------------------------------- */

static void mcp_run(chip_t *chip, uint64_t now)
{
    mcp_t *m = (mcp_t *)chip;
    uint64_t due = can_bus_run(m->bus, now);
    if (m->recover_at > 0 && (double)due > m->recover_at) {
        due = (uint64_t)m->recover_at + 1;
    }
    chip->due = due;
}

static void mcp_command(chip_t *chip, char *words)
{
    mcp_t *m = (mcp_t *)chip;
    double mhz;
    if (sscanf(words, "crystal %lf", &mhz) == 1) {
        m->crystal_hz = 1e6 * mhz;
        rig_say(chip->rig, "ok");
    } else if (strcmp(words, "reset") == 0) {
        reset(m); /* its supply dipped */
        rig_say(chip->rig, "ok");
    } else if (strcmp(words, "chip") == 0) {
        rig_say(chip->rig, "mode=%u bit_rate=%.0f lost=%u tec=%u rec=%u eflg=%u intf=%u",
                m->mode, m->node.bit_rate, m->lost, m->tec, m->rec, m->reg[EFLG],
                m->reg[CANINTF]);
    } else if (!can_bus_command(m->bus, words)) {
        rig_say(chip->rig, "unknown: can %s", words);
    }
    chip->due = 0;
}

static void mcp_free(chip_t *chip)
{
    can_bus_free(((mcp_t *)chip)->bus);
    free(chip);
}

chip_t *model_mcp2515(rig_t *rig)
{
    mcp_t *m = calloc(1, sizeof *m);
    m->chip = (chip_t){.name = "can", .rig = rig, .due = 0, .select = mcp_select,
                       .transfer = mcp_transfer, .run = mcp_run, .command = mcp_command,
                       .free = mcp_free};
    m->node = mcp2515_node(m);
    m->crystal_hz = 16e6;
    m->bus = can_bus_new(rig, &m->node);
    reset(m);
    return &m->chip;
}
