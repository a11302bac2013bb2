/* A CAN adapter that speaks SLCAN: python-can interface "slcan", slcand, LAWICEL.
 *
 * Nothing is lost in silence. What the host sends waits in the serial ring, then in the
 * transmit queue, then in the chip; a frame is answered by z when it is in the queue.
 * Where the bus is slower than the host, lines wait in the serial ring unanswered, and
 * a line the ring cannot hold is answered by BELL and by bit 1 of F. What the bus sends
 * waits in the chip, the receive queue and the serial ring; what the chip could not
 * hold is bit 3 of F (with bit 0 if the serial line was the cause). */
#include "crc16.h"
#include "hal.h"
#include "mcp2515.h"
#include "ring.h"
#include "slcan.h"

#define RX_QUEUE 24u
#define TX_QUEUE 16u

#define ANSWER_ROOM 8u /* longest answer but for the frames: V1010 and CR */
#define FRAME_ROOM (SLCAN_FRAME_MAX + ANSWER_ROOM)

/* No frame left for so long: the bus is stuck (nobody acknowledges, bus off). Until it
 * moves again frames are refused, and what is queued is given up by C. Long enough for
 * a loser of many arbitrations; one frame takes 14 ms at most, at 10 kbit/s. */
#define STUCK_MS 500u

static slcan_t channel;
static ring_t rx_ring;
static ring_t tx_ring;
static can_frame_t rx_queue[RX_QUEUE];
static can_frame_t tx_queue[TX_QUEUE];

static uint8_t line[SLCAN_LINE_MAX + 1u];
static uint8_t line_length; /* SLCAN_LINE_MAX + 1: too long */
static bool line_is_whole;

static uint8_t flags; /* of F, until read */
static bool host_too_slow;
static bool is_closing;
static bool is_polling_all;
static uint32_t moved_ms; /* when the transmit queue last moved or was empty */

static void answer(uint8_t byte)
{
    hal_uart_write(byte);
}

static void answer_text(const uint8_t *text, uint8_t n)
{
    for (uint8_t i = 0u; i < n; i++) {
        hal_uart_write(text[i]);
    }
}

/* Empty the chip into the queue. Called between all other work. */
static void take_from_bus(void)
{
    while ((channel.mode != SLCAN_CLOSED) && hal_can_interrupt()) {
        if (ring_is_full(&rx_ring)) {
            host_too_slow = true;
            break;
        }
        can_frame_t *frame = &rx_queue[ring_put(&rx_ring)];

        if (!mcp2515_receive(frame) || !slcan_accepts(&channel, frame)) {
            rx_ring.count--;
        } else if (channel.stamps == SLCAN_STAMP_MS) {
            frame->stamp = hal_millis();
        } else if (channel.stamps == SLCAN_STAMP_US) {
            frame->stamp = hal_micros();
        } else {
            /* no stamp wanted */
        }
    }
}

static void give_to_bus(void)
{
    if (ring_is_empty(&tx_ring)) {
        if (!is_closing) { /* then the chip's own buffers are waited for */
            moved_ms = hal_millis();
        }
    } else if (mcp2515_send(&tx_queue[ring_front(&tx_ring)])) {
        ring_drop(&tx_ring);
        moved_ms = hal_millis();
    } else {
        /* the chip's buffers are full */
    }
}

static bool is_stuck(void)
{
    return (hal_millis() - moved_ms) > STUCK_MS;
}

static void open_channel(void)
{
    flags = 0u;
    host_too_slow = false;
    ring_init(&rx_ring, RX_QUEUE);
    ring_init(&tx_ring, TX_QUEUE);
    moved_ms = hal_millis();
    if (!mcp2515_open(channel.btr0, channel.btr1, channel.mode == SLCAN_LISTEN)) {
        channel.mode = SLCAN_CLOSED;
    }
}

/* C waits until what was answered by z has left. BELL: it could not all leave. */
static void close_when_sent(void)
{
    const bool sent = ring_is_empty(&tx_ring) && !mcp2515_is_sending();

    if (sent || is_stuck()) {
        mcp2515_close();
        ring_init(&rx_ring, RX_QUEUE);
        ring_init(&tx_ring, TX_QUEUE);
        channel.mode = SLCAN_CLOSED;
        is_closing = false;
        answer(sent ? SLCAN_OK : SLCAN_BELL);
    }
}

static void answer_flags(void)
{
    uint8_t text[4];
    uint8_t chip = mcp2515_flags();

    if ((chip & SLCAN_OVERRUN) != 0u) {
        if (host_too_slow) {
            chip |= SLCAN_RX_FULL;
        }
        host_too_slow = false;
    }
    (void)slcan_flags_line((uint8_t)(chip | flags), text);
    flags = 0u;
    answer_text(text, 4u);
}

/* --- What Q keeps over a reset ------------------------------------------------- */

#define STORED 16u
#define STORED_VERSION 0x51u

static void to_bytes(uint8_t *bytes)
{
    bytes[0] = STORED_VERSION;
    bytes[1] = channel.argument;
    bytes[2] = channel.btr0;
    bytes[3] = channel.btr1;
    bytes[4] = (uint8_t)channel.stamps;
    bytes[5] = channel.auto_poll ? 1u : 0u;
    bytes[6] = channel.single_filter ? 1u : 0u;
    bytes[7] = channel.accepts_all ? 1u : 0u;
    for (uint8_t i = 0u; i < 4u; i++) {
        bytes[8u + i] = channel.code[i];
        bytes[12u + i] = channel.mask[i];
    }
}

static void store_byte(uint8_t address, uint8_t byte)
{
    if (hal_eeprom_read(address) != byte) {
        hal_watchdog_kick();
        hal_eeprom_write(address, byte);
    }
}

static void store(void)
{
    uint8_t bytes[STORED];
    uint16_t crc;

    to_bytes(bytes);
    crc = crc16(bytes, STORED);
    for (uint8_t i = 0u; i < STORED; i++) {
        store_byte(i, bytes[i]);
    }
    store_byte(STORED, (uint8_t)(crc >> 8));
    store_byte(STORED + 1u, (uint8_t)(crc & 0xFFu));
}

static void restore(void)
{
    uint8_t bytes[STORED];
    uint16_t crc;

    for (uint8_t i = 0u; i < STORED; i++) {
        bytes[i] = hal_eeprom_read(i);
    }
    crc = (uint16_t)((uint16_t)hal_eeprom_read(STORED) << 8);
    crc |= hal_eeprom_read(STORED + 1u);
    if ((crc != crc16(bytes, STORED)) || (bytes[0] != STORED_VERSION) || (bytes[1] == 0u)) {
        return;
    }
    channel.btr0 = bytes[2];
    channel.btr1 = bytes[3];
    channel.has_rate = true;
    channel.stamps = (slcan_stamp_t)bytes[4];
    channel.auto_poll = bytes[5] != 0u;
    channel.single_filter = bytes[6] != 0u;
    channel.accepts_all = bytes[7] != 0u;
    for (uint8_t i = 0u; i < 4u; i++) {
        channel.code[i] = bytes[8u + i];
        channel.mask[i] = bytes[12u + i];
    }
    channel.mode = (bytes[1] == 2u) ? SLCAN_LISTEN : SLCAN_NORMAL;
    open_channel();
}

/* --- The host's lines ------------------------------------------------------------- */

static void send_frame_line(void)
{
    uint8_t text[SLCAN_FRAME_MAX];
    const uint8_t n = slcan_frame_line(&channel, &rx_queue[ring_front(&rx_ring)], text);

    ring_drop(&rx_ring);
    answer_text(text, n);
}

static void queue_frame(void)
{
    uint8_t text[2];

    tx_queue[ring_put(&tx_ring)] = channel.frame;
    answer_text(text, slcan_sent(&channel, text));
}

static void carry_out(void)
{
    static const uint8_t version[] = {'V', '1', '0', '1', '0', '\r'};
    static const uint8_t serial[] = {'N', 'B', 'L', '0', '1', '\r'};
    /* U0 would be 230400: 3.5 % off at 16 MHz. */
    static const uint32_t uart_speed[] = {0u,     115200u, 57600u, 38400u,
                                          19200u, 9600u,   2400u};

    switch (slcan_command(&channel, line, line_length)) {
    case SLCAN_ACCEPT:
        answer(SLCAN_OK);
        break;
    case SLCAN_OPEN:
        open_channel();
        answer((channel.mode != SLCAN_CLOSED) ? SLCAN_OK : SLCAN_BELL);
        break;
    case SLCAN_CLOSE:
        is_closing = true;
        moved_ms = hal_millis();
        break;
    case SLCAN_SEND:
        if (ring_is_full(&tx_ring)) { /* and stuck, or the line would have waited */
            flags |= SLCAN_TX_FULL;
            answer(SLCAN_BELL);
        } else {
            queue_frame();
        }
        break;
    case SLCAN_POLL:
        if (ring_is_empty(&rx_ring)) {
            answer(SLCAN_OK);
        } else {
            send_frame_line();
        }
        break;
    case SLCAN_POLL_ALL:
        is_polling_all = true;
        break;
    case SLCAN_FLAGS:
        answer_flags();
        break;
    case SLCAN_VERSION:
        answer_text(version, (uint8_t)sizeof version);
        break;
    case SLCAN_SERIAL:
        answer_text(serial, (uint8_t)sizeof serial);
        break;
    case SLCAN_UART:
        if (uart_speed[channel.argument] == 0u) {
            answer(SLCAN_BELL);
        } else {
            answer(SLCAN_OK);
            hal_uart_speed(uart_speed[channel.argument]);
        }
        break;
    case SLCAN_STORE:
        store();
        answer(SLCAN_OK);
        break;
    case SLCAN_REFUSE:
    default:
        answer(SLCAN_BELL);
        break;
    }
}

static void read_line(void)
{
    uint8_t byte;

    while (!line_is_whole && hal_uart_read(&byte)) {
        if (byte == SLCAN_OK) {
            line_is_whole = true;
        } else if (line_length <= SLCAN_LINE_MAX) {
            line[line_length] = byte;
            line_length++;
        } else {
            /* too long already */
        }
    }
}

static void serve_host(void)
{
    if (is_closing) {
        close_when_sent();
    }
    read_line();
    take_from_bus();
    /* A frame that finds the queue full waits here, and all lines behind it. */
    if (!is_closing && !is_polling_all && line_is_whole
        && (!ring_is_full(&tx_ring) || is_stuck())) {
        carry_out();
        line_is_whole = false;
        line_length = 0u;
    }
}

static void report_lost_lines(void)
{
    uint8_t lost = hal_uart_lost_lines();

    while (lost > 0u) {
        flags |= SLCAN_TX_FULL;
        while (hal_uart_room() == 0u) {
            take_from_bus();
        }
        answer(SLCAN_BELL);
        lost--;
    }
}

static void serve_frames(void)
{
    if (!ring_is_empty(&rx_ring)) {
        if (channel.auto_poll || is_polling_all) {
            send_frame_line();
        }
    } else if (is_polling_all) {
        is_polling_all = false;
        answer((uint8_t)'A');
        answer(SLCAN_OK);
    } else {
        /* nothing to say */
    }
}

int main(void)
{
    hal_init(SLCAN_OK);
    hal_watchdog_start();
    slcan_init(&channel);
    ring_init(&rx_ring, RX_QUEUE);
    ring_init(&tx_ring, TX_QUEUE);
    (void)mcp2515_reset();
    restore();
    for (;;) {
        hal_watchdog_kick();
        take_from_bus();
        if (channel.mode != SLCAN_CLOSED) {
            give_to_bus();
        }
        take_from_bus();
        report_lost_lines();
        if (hal_uart_room() >= ANSWER_ROOM) {
            serve_host();
        }
        take_from_bus();
        if (hal_uart_room() >= FRAME_ROOM) {
            serve_frames();
        }
    }
}
