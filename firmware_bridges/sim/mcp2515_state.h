/* The MCP2515's state, shared by its two halves: model_mcp2515.c is what the processor
 * sees (registers, SPI), mcp2515_bus.c what the bus sees (frames, filters, errors). */
#ifndef MCP2515_STATE_H
#define MCP2515_STATE_H

#include "can_bus.h"

/* Register addresses, table 11-1. */
enum {
    BFPCTRL = 0x0C, TXRTSCTRL = 0x0D, CANSTAT = 0x0E, CANCTRL = 0x0F, TEC = 0x1C, REC = 0x1D,
    RXM0 = 0x20, CNF3 = 0x28, CNF2 = 0x29, CNF1 = 0x2A, CANINTE = 0x2B, CANINTF = 0x2C,
    EFLG = 0x2D, TXB0CTRL = 0x30, RXB0CTRL = 0x60, RXB1CTRL = 0x70,
};
enum { NORMAL = 0, SLEEP = 1, LOOPBACK = 2, LISTEN = 3, CONFIGURATION = 4 };
enum { TXREQ = 0x08, TXERR = 0x10, MLOA = 0x20, ABTF = 0x40 };
enum { RX0IF = 0x01, RX1IF = 0x02, TX0IF = 0x04, ERRIF = 0x20, MERRF = 0x80 };
enum { RX0OVR = 0x40, RX1OVR = 0x80, TXBO = 0x20 };
enum { ONE_SHOT = 0x08, ABORT_ALL = 0x10 };

typedef struct {
    chip_t chip; /* first */
    bus_node_t node;
    can_bus_t *bus;
    uint8_t reg[128];
    unsigned mode, tec, rec;
    double crystal_hz, recover_at; /* cycle at which bus off ends, 0: not off */
    unsigned lost, contacts;       /* frames no buffer was free for; bytes before reset */
    uint8_t spi[4];                /* the instruction being received */
    unsigned spi_n, pointer;
    uint64_t asked[3]; /* when TXREQ was set */
    int sending;       /* buffer on the bus, -1: none */
    bus_frame_t frame;
} mcp_t;

static inline uint8_t *tx(mcp_t *m, int buffer)
{
    return &m->reg[TXB0CTRL + 0x10 * buffer];
}

void mcp2515_refresh(mcp_t *m);    /* state that follows from other state */
bus_node_t mcp2515_node(mcp_t *m); /* what the bus calls */

#endif
