#include "mcp2515.h"

#include "hal.h"
#include "slcan.h"

#ifndef MCP2515_CRYSTAL_MHZ
#define MCP2515_CRYSTAL_MHZ 16u
#endif

/* Instructions, table 12-1. */
#define RESET 0xC0u
#define READ 0x03u
#define WRITE 0x02u
#define BIT_MODIFY 0x05u
#define READ_STATUS 0xA0u
#define READ_RX_BUFFER 0x90u /* from SIDH; + 4 for buffer 1 */
#define LOAD_TX_BUFFER 0x40u /* from SIDH; + 2 per buffer */

/* Registers, table 11-1. */
#define CANSTAT 0x0Eu
#define CANCTRL 0x0Fu
#define CNF3 0x28u /* then CNF2, CNF1, CANINTE, CANINTF, EFLG */
#define CANINTF 0x2Cu
#define EFLG 0x2Du
#define TXB0CTRL 0x30u /* 0x40 and 0x50 for the others */
#define RXB0CTRL 0x60u
#define RXB1CTRL 0x70u

#define MODE_BITS 0xE0u
#define MODE_NORMAL 0x00u
#define MODE_LISTEN 0x60u
#define MODE_CONFIGURATION 0x80u

#define RX_INTERRUPTS 0x03u
#define MESSAGE_ERROR 0x80u /* CANINTF.MERRF */
#define RX_ANY 0x60u        /* RXBnCTRL.RXM: filters off */
#define ROLLOVER 0x04u      /* RXB0CTRL.BUKT: a full buffer 0 continues in 1 */
#define TX_REQUEST 0x08u
#define TX_LOST_ARBITRATION 0x20u

/* READ STATUS. */
#define STATUS_RX0 0x01u
#define STATUS_RX1 0x02u
#define STATUS_TX_PENDING 0x54u

#define OVERRUNS 0xC0u /* EFLG */
#define BUS_OFF 0x20u
#define PASSIVE 0x18u
#define WARNING 0x01u

/* The chip sends by priority (0 to 3), and the higher buffer first among equals: so
 * the ranks (3,2) (3,1) (3,0) (2,2) ... (0,0) go out in this order, whatever is still
 * waiting. After the last one all must have left before the next round. */
#define BUFFERS 3u
#define RANKS 12u

static uint8_t next_rank;
static bool second_is_older; /* receive buffer 1 holds the older frame */

static uint8_t read_register(uint8_t address)
{
    uint8_t value;

    hal_spi_select(HAL_CS_CAN);
    (void)hal_spi_transfer(READ);
    (void)hal_spi_transfer(address);
    value = hal_spi_transfer(0u);
    hal_spi_deselect(HAL_CS_CAN);
    return value;
}

static void write_register(uint8_t address, uint8_t value)
{
    hal_spi_select(HAL_CS_CAN);
    (void)hal_spi_transfer(WRITE);
    (void)hal_spi_transfer(address);
    (void)hal_spi_transfer(value);
    hal_spi_deselect(HAL_CS_CAN);
}

static void modify_register(uint8_t address, uint8_t bits, uint8_t value)
{
    hal_spi_select(HAL_CS_CAN);
    (void)hal_spi_transfer(BIT_MODIFY);
    (void)hal_spi_transfer(address);
    (void)hal_spi_transfer(bits);
    (void)hal_spi_transfer(value);
    hal_spi_deselect(HAL_CS_CAN);
}

static uint8_t read_status(void)
{
    uint8_t value;

    hal_spi_select(HAL_CS_CAN);
    (void)hal_spi_transfer(READ_STATUS);
    value = hal_spi_transfer(0u);
    hal_spi_deselect(HAL_CS_CAN);
    return value;
}

/* A mode takes effect when the bus is idle: a frame of 10 kbit/s lasts 13 ms. */
#define MODE_TIMEOUT_MS 30u

static bool enter(uint8_t mode)
{
    const uint32_t start = hal_millis();
    bool there;

    modify_register(CANCTRL, MODE_BITS, mode);
    do {
        there = (read_register(CANSTAT) & MODE_BITS) == mode;
    } while (!there && ((hal_millis() - start) < MODE_TIMEOUT_MS));
    return there;
}

bool mcp2515_reset(void)
{
    const uint32_t start = hal_micros();

    hal_spi_speed(HAL_SPI_MODE0, true);
    hal_spi_select(HAL_CS_CAN);
    (void)hal_spi_transfer(RESET);
    hal_spi_deselect(HAL_CS_CAN);
    /* The oscillator start-up timer runs 128 periods: 16 us at 8 MHz. */
    while ((hal_micros() - start) < 32u) {
    }
    next_rank = 0u;
    second_is_older = false;
    return (read_register(CANSTAT) & MODE_BITS) == MODE_CONFIGURATION;
}

/* CNF1..3 from BTR0 and BTR1. Quanta are equal where the crystals are: an SJA1000 at
 * 16 MHz and this chip at 16 MHz both count 125 ns * (BRP + 1). At 8 MHz the prescaler
 * is halved, or where that is odd, the number of quanta. */
static bool timing_of(uint8_t btr0, uint8_t btr1, uint8_t *cnf)
{
    uint8_t brp = (uint8_t)(btr0 & 0x3Fu);
    uint8_t before = (uint8_t)((btr1 & 0x0Fu) + 1u);       /* propagation, phase 1 */
    uint8_t after = (uint8_t)(((btr1 >> 4) & 0x07u) + 1u); /* phase 2 */
    uint8_t jump = (uint8_t)((btr0 >> 6) + 1u);
    uint8_t phase1;

#if MCP2515_CRYSTAL_MHZ == 8u
    if ((brp & 1u) != 0u) {
        brp = (uint8_t)(brp >> 1);
    } else {
        uint8_t quanta = (uint8_t)((uint8_t)(before + after) + 1u);

        if (((quanta & 1u) != 0u) || (quanta < 10u)) {
            return false;
        }
        quanta = (uint8_t)(quanta >> 1);
        after = (after < 4u) ? 2u : (uint8_t)(after >> 1);
        before = (uint8_t)((uint8_t)(quanta - after) - 1u);
    }
#elif MCP2515_CRYSTAL_MHZ != 16u
#error "a crystal of 8 or 16 MHz"
#endif
    /* Section 5.5: phase 2 at least 2 and longer than the jump allows, phase 1 and
     * propagation together at least phase 2. */
    if ((after < 2u) || (before < 2u) || (before < after)) {
        return false;
    }
    if (jump > (uint8_t)(after - 1u)) {
        jump = (uint8_t)(after - 1u);
    }
    phase1 = (after < before) ? after : (uint8_t)(before - 1u);
    if ((uint8_t)(before - phase1) > 8u) {
        phase1 = (uint8_t)(before - 8u);
    }
    cnf[0] = (uint8_t)(after - 1u); /* CNF3 */
    cnf[1] = (uint8_t)(0x80u | ((btr1 & 0x80u) >> 1) | (uint8_t)((phase1 - 1u) << 3)
                       | (uint8_t)((uint8_t)(before - phase1) - 1u)); /* CNF2 */
    cnf[2] = (uint8_t)((uint8_t)((jump - 1u) << 6) | brp); /* CNF1 */
    return true;
}

bool mcp2515_open(uint8_t btr0, uint8_t btr1, bool listen_only)
{
    uint8_t cnf[3];

    if (!timing_of(btr0, btr1, cnf) || !mcp2515_reset()) {
        return false;
    }
    write_register(CNF3, cnf[0]);
    write_register(CNF3 + 1u, cnf[1]);
    write_register(CNF3 + 2u, cnf[2]);
    write_register(RXB0CTRL, RX_ANY | ROLLOVER);
    write_register(RXB1CTRL, RX_ANY);
    write_register(CANINTF - 1u, RX_INTERRUPTS);
    return enter(listen_only ? MODE_LISTEN : MODE_NORMAL);
}

void mcp2515_close(void)
{
    (void)mcp2515_reset();
}

static void read_buffer(uint8_t instruction, can_frame_t *frame)
{
    uint8_t high;
    uint8_t low;
    uint8_t middle;
    uint8_t last;
    uint8_t length;

    hal_spi_select(HAL_CS_CAN);
    (void)hal_spi_transfer(instruction);
    high = hal_spi_transfer(0u);
    low = hal_spi_transfer(0u);
    middle = hal_spi_transfer(0u);
    last = hal_spi_transfer(0u);
    length = hal_spi_transfer(0u);
    frame->extended = (low & 0x08u) != 0u;
    frame->id = ((uint32_t)high << 3) | (uint32_t)(low >> 5);
    if (frame->extended) {
        const uint8_t upper = (uint8_t)(low & 0x03u); /* EID17, EID16 */

        frame->id = (frame->id << 18) | ((uint32_t)upper << 16)
                    | ((uint32_t)middle << 8) | (uint32_t)last;
        frame->remote = (length & 0x40u) != 0u; /* RXBnDLC.RTR */
    } else {
        frame->remote = (low & 0x10u) != 0u; /* RXBnSIDL.SRR */
    }
    frame->dlc = (uint8_t)(length & 0x0Fu);
    if (frame->dlc > CAN_DATA_MAX) {
        frame->dlc = CAN_DATA_MAX; /* 9 to 15 mean 8 on a classic bus */
    }
    if (!frame->remote) {
        for (uint8_t i = 0u; i < frame->dlc; i++) {
            frame->data[i] = hal_spi_transfer(0u);
        }
    }
    hal_spi_deselect(HAL_CS_CAN); /* this frees the buffer */
}

/* Both full: buffer 0 was filled first, unless 1 was already full when 0 was last
 * emptied. That is looked up at once, before another frame can have come. */
bool mcp2515_receive(can_frame_t *frame)
{
    uint8_t status;

    if (!hal_can_interrupt()) {
        return false;
    }
    status = read_status();
    if (((status & STATUS_RX1) != 0u)
        && (second_is_older || ((status & STATUS_RX0) == 0u))) {
        read_buffer(READ_RX_BUFFER + 4u, frame);
        second_is_older = false;
    } else if ((status & STATUS_RX0) != 0u) {
        read_buffer(READ_RX_BUFFER, frame);
        second_is_older = (read_status() & STATUS_RX1) != 0u;
    } else {
        return false;
    }
    return true;
}

static void load_buffer(uint8_t buffer, const can_frame_t *frame)
{
    uint32_t standard = frame->id;

    hal_spi_select(HAL_CS_CAN);
    (void)hal_spi_transfer((uint8_t)(LOAD_TX_BUFFER + (uint8_t)(2u * buffer)));
    if (frame->extended) {
        standard = frame->id >> 18;
    }
    (void)hal_spi_transfer((uint8_t)((standard >> 3) & 0xFFu));
    if (frame->extended) {
        (void)hal_spi_transfer((uint8_t)((uint8_t)((standard & 0x07u) << 5) | 0x08u
                                         | (uint8_t)((frame->id >> 16) & 0x03u)));
        (void)hal_spi_transfer((uint8_t)((frame->id >> 8) & 0xFFu));
        (void)hal_spi_transfer((uint8_t)(frame->id & 0xFFu));
    } else {
        (void)hal_spi_transfer((uint8_t)((standard & 0x07u) << 5));
        (void)hal_spi_transfer(0u);
        (void)hal_spi_transfer(0u);
    }
    (void)hal_spi_transfer((uint8_t)(frame->dlc | (frame->remote ? 0x40u : 0u)));
    if (!frame->remote) {
        for (uint8_t i = 0u; i < frame->dlc; i++) {
            (void)hal_spi_transfer(frame->data[i]);
        }
    }
    hal_spi_deselect(HAL_CS_CAN);
}

bool mcp2515_send(const can_frame_t *frame)
{
    const uint8_t pending = (uint8_t)(read_status() & STATUS_TX_PENDING);
    uint8_t buffer;
    uint8_t priority;

    if (pending == 0u) {
        next_rank = 0u;
    }
    if (next_rank >= RANKS) {
        return false;
    }
    priority = (uint8_t)(3u - (next_rank / BUFFERS));
    buffer = (uint8_t)(2u - (next_rank % BUFFERS));
    if ((pending & (uint8_t)(0x04u << (uint8_t)(2u * buffer))) != 0u) {
        return false;
    }
    load_buffer(buffer, frame);
    write_register((uint8_t)(TXB0CTRL + (uint8_t)(buffer << 4)),
                   (uint8_t)(TX_REQUEST | priority));
    next_rank++;
    return true;
}

bool mcp2515_is_sending(void)
{
    return (read_status() & STATUS_TX_PENDING) != 0u;
}

uint8_t mcp2515_flags(void)
{
    const uint8_t errors = read_register(EFLG);
    uint8_t flags = 0u;

    /* Asked of an open channel alone: a chip that was reset behind our back (a dip of its
     * supply) hears nothing until the channel is opened again. */
    if ((read_register(CANSTAT) & MODE_BITS) == MODE_CONFIGURATION) {
        flags |= SLCAN_OVERRUN | SLCAN_BUS_ERROR;
    }
    if ((errors & OVERRUNS) != 0u) {
        modify_register(EFLG, OVERRUNS, 0u);
        flags |= SLCAN_OVERRUN;
    }
    if ((errors & WARNING) != 0u) {
        flags |= SLCAN_WARNING;
    }
    if ((errors & PASSIVE) != 0u) {
        flags |= SLCAN_PASSIVE;
    }
    if ((errors & BUS_OFF) != 0u) {
        flags |= SLCAN_BUS_ERROR;
    }
    if ((read_register(CANINTF) & MESSAGE_ERROR) != 0u) {
        modify_register(CANINTF, MESSAGE_ERROR, 0u);
        flags |= SLCAN_BUS_ERROR;
    }
    for (uint8_t i = 0u; i < BUFFERS; i++) {
        if ((read_register((uint8_t)(TXB0CTRL + (uint8_t)(i << 4))) & TX_LOST_ARBITRATION)
            != 0u) {
            flags |= SLCAN_ARBITRATION;
        }
    }
    return flags;
}
