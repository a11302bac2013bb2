/* MCP2515, the bus half; from Microchip data sheet DS20001801J. */
#include "mcp2515_state.h"

#include <string.h>

static void to_registers(uint8_t *r, const bus_frame_t *f)
{
    uint32_t standard = f->extended ? f->id >> 18 : f->id;
    r[1] = (uint8_t)(standard >> 3);
    r[2] = (uint8_t)(standard << 5);
    r[3] = r[4] = 0;
    r[5] = f->dlc;
    if (f->extended) {
        r[2] |= (uint8_t)(8 | (f->id >> 16 & 3));
        r[3] = (uint8_t)(f->id >> 8);
        r[4] = (uint8_t)f->id;
        r[5] |= f->remote ? 0x40 : 0;
    } else {
        r[2] |= f->remote ? 0x10 : 0;
    }
    memcpy(&r[6], f->data, 8);
}

static const bus_frame_t *offer(void *self, uint64_t *since)
{
    mcp_t *m = self;
    int best = -1;
    if (m->mode != NORMAL || m->recover_at > 0) {
        return NULL;
    }
    for (int i = 0; i < 3; i++) { /* section 3.2: priority, then the higher buffer */
        if ((*tx(m, i) & TXREQ) && (best < 0 || (*tx(m, i) & 3) >= (*tx(m, best) & 3))) {
            best = i;
        }
    }
    if (best < 0) {
        return NULL;
    }
    const uint8_t *r = tx(m, best);
    m->sending = best;
    *since = m->asked[best];
    m->frame = (bus_frame_t){.extended = r[2] >> 3 & 1, .remote = r[5] >> 6 & 1,
                             .dlc = r[5] & 15};
    m->frame.id = (uint32_t)(r[1] << 3 | r[2] >> 5);
    if (m->frame.extended) {
        m->frame.id = m->frame.id << 18 | (uint32_t)((r[2] & 3) << 16 | r[3] << 8 | r[4]);
    }
    memcpy(m->frame.data, &r[6], 8);
    return &m->frame;
}

static void sent(void *self)
{
    mcp_t *m = self;
    *tx(m, m->sending) &= (uint8_t)~TXREQ;
    m->reg[CANINTF] |= (uint8_t)(TX0IF << m->sending);
    m->tec -= m->tec > 0;
    mcp2515_refresh(m);
}

static void failed(void *self, int unacknowledged)
{
    mcp_t *m = self;
    *tx(m, m->sending) |= TXERR;
    m->reg[CANINTF] |= MERRF;
    if (!(unacknowledged && m->tec > 127)) { /* ISO 11898-1: passive nodes do not count */
        m->tec += 8;
    }
    if (m->tec > 255) {
        /* 128 times eleven recessive bits */
        m->recover_at =
            (double)rig_cycle(m->chip.rig) + 128 * 11 * can_bus_bit_cycles(m->bus);
    }
    if (m->reg[CANCTRL] & ONE_SHOT) {
        *tx(m, m->sending) &= (uint8_t)~TXREQ;
    }
    mcp2515_refresh(m);
}

static void lost_arbitration(void *self)
{
    mcp_t *m = self;
    *tx(m, m->sending) |= MLOA;
    if (m->reg[CANCTRL] & ONE_SHOT) {
        *tx(m, m->sending) &= (uint8_t)~TXREQ;
    }
}

/* Section 4.5: does filter `number` take the frame under mask `mask`? */
static int passes(const mcp_t *m, const uint8_t *frame, int mask, int number)
{
    const uint8_t *f = &m->reg[number < 3 ? 4 * number : 0x10 + 4 * (number - 3)];
    const uint8_t *k = &m->reg[RXM0 + 4 * mask];
    int extended = frame[2] >> 3 & 1;
    if ((f[1] >> 3 & 1) != extended) {
        return 0;
    }
    const uint8_t low[2] = {extended ? frame[3] : frame[6], extended ? frame[4] : frame[7]};
    return !((f[0] ^ frame[1]) & k[0]) && !((f[1] ^ frame[2]) & k[1] & (extended ? 0xE3 : 0xE0))
           && !((f[2] ^ low[0]) & k[2]) && !((f[3] ^ low[1]) & k[3]);
}

static int filter_hit(const mcp_t *m, const uint8_t *frame, int buffer)
{
    if ((m->reg[buffer ? RXB1CTRL : RXB0CTRL] & 0x60) == 0x60) {
        return 0;
    }
    for (int i = buffer ? 2 : 0; i < (buffer ? 6 : 2); i++) {
        if (passes(m, frame, buffer, i)) {
            return i;
        }
    }
    return -1;
}

static void received(void *self, const bus_frame_t *f)
{
    mcp_t *m = self;
    uint8_t frame[16] = {0};
    int buffer = 0, hit;
    to_registers(frame, f);
    m->rec -= m->rec > 0;
    /* Figure 4-2: buffer 0 first; full, with BUKT, its frame rolls over into buffer 1. */
    hit = filter_hit(m, frame, 0);
    if (hit < 0) {
        buffer = 1;
        hit = filter_hit(m, frame, 1);
    } else if ((m->reg[CANINTF] & RX0IF) && (m->reg[RXB0CTRL] & 4)) {
        buffer = 1;
    }
    if (hit >= 0 && (m->reg[CANINTF] & (buffer ? RX1IF : RX0IF))) {
        m->reg[EFLG] |= buffer ? RX1OVR : RX0OVR;
        m->reg[CANINTF] |= ERRIF;
        m->lost++;
    } else if (hit >= 0) {
        uint8_t *r = &m->reg[buffer ? RXB1CTRL : RXB0CTRL];
        memcpy(r + 1, frame + 1, 13);
        r[0] = (uint8_t)((r[0] & 0x64) | (f->remote ? 8 : 0) | hit);
        m->reg[CANINTF] |= buffer ? RX1IF : RX0IF;
    }
    mcp2515_refresh(m);
}

static void receive_error(void *self)
{
    mcp_t *m = self;
    m->reg[CANINTF] |= MERRF;
    m->rec += m->rec < 255;
    mcp2515_refresh(m);
}

static void idle(void *self)
{
    mcp_t *m = self;
    unsigned wanted = m->reg[CANCTRL] >> 5;
    if (m->recover_at > 0 && (double)rig_cycle(m->chip.rig) >= m->recover_at) {
        m->recover_at = 0;
        m->tec = m->rec = 0;
        mcp2515_refresh(m);
    }
    if (wanted != m->mode && wanted <= CONFIGURATION && wanted != SLEEP) {
        m->mode = wanted;
        mcp2515_refresh(m);
    }
}

bus_node_t mcp2515_node(mcp_t *m)
{
    return (bus_node_t){.self = m,
                        .offer = offer,
                        .sent = sent,
                        .failed = failed,
                        .lost_arbitration = lost_arbitration,
                        .received = received,
                        .receive_error = receive_error,
                        .idle = idle};
}
