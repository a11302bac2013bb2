#include "slcan.h"

#define NO_DIGIT 0xFFu
#define MS_WRAP 60000u /* stamps in milliseconds count to 59 999, one minute */

/* S0..S9 for a time quantum of 125 ns * (BRP + 1): 16 quanta with the sample at 87.5 %
 * (CiA 301 recommends 87.5 %), a jump width of 2; 1 Mbit/s: 8 quanta, 75 %.
 * S7 is refused: 800 kbit/s to LAWICEL, 750 kbit/s to python-can, and 750 kbit/s is no
 * whole number of quanta. A wrong rate would disturb the bus. */
#define RATES 10u
#define RATE_REFUSED 7u

void slcan_init(slcan_t *channel)
{
    channel->mode = SLCAN_CLOSED;
    channel->stamps = SLCAN_NO_STAMP;
    channel->has_rate = false;
    channel->btr0 = 0u;
    channel->btr1 = 0u;
    channel->auto_poll = true;
    channel->single_filter = false;
    channel->accepts_all = true;
    channel->argument = 0u;
    for (uint8_t i = 0u; i < 4u; i++) {
        channel->code[i] = 0x00u;
        channel->mask[i] = 0xFFu;
    }
}

static uint8_t digit(uint8_t character)
{
    uint8_t value = NO_DIGIT;

    if ((character >= (uint8_t)'0') && (character <= (uint8_t)'9')) {
        value = (uint8_t)(character - (uint8_t)'0');
    } else {
        const uint8_t upper = (uint8_t)(character & 0xDFu);

        if ((upper >= (uint8_t)'A') && (upper <= (uint8_t)'F')) {
            value = (uint8_t)((uint8_t)(upper - (uint8_t)'A') + 10u);
        }
    }
    return value;
}

/* Two digits per byte; false if one is none. */
static bool read_bytes(const uint8_t *text, uint8_t n, uint8_t *bytes)
{
    bool good = true;

    for (uint8_t i = 0u; good && (i < n); i++) {
        const uint8_t high = digit(text[2u * i]);
        const uint8_t low = digit(text[(2u * i) + 1u]);

        good = (high != NO_DIGIT) && (low != NO_DIGIT);
        if (good) {
            bytes[i] = (uint8_t)((uint8_t)(high << 4) | low);
        }
    }
    return good;
}

static uint32_t word_of(const uint8_t *bytes)
{
    return ((uint32_t)bytes[0] << 24) | ((uint32_t)bytes[1] << 16)
           | ((uint32_t)bytes[2] << 8) | (uint32_t)bytes[3];
}

/* t, T, r, R: identifier, length, data. */
static bool read_frame(can_frame_t *frame, const uint8_t *line, uint8_t n)
{
    const uint8_t kind = line[0];
    const bool extended = (kind == (uint8_t)'T') || (kind == (uint8_t)'R');
    const uint8_t at = extended ? 9u : 4u; /* of the length */
    uint8_t bytes[4];
    uint8_t expected;

    if (n <= at) {
        return false;
    }
    if (extended) {
        if (!read_bytes(&line[1], 4u, bytes)) {
            return false;
        }
        frame->id = word_of(bytes);
        if (frame->id > 0x1FFFFFFFu) {
            return false;
        }
    } else {
        const uint8_t top = digit(line[1]);

        if ((top > 7u) || !read_bytes(&line[2], 1u, bytes)) {
            return false;
        }
        frame->id = ((uint32_t)top << 8) | (uint32_t)bytes[0];
    }
    frame->extended = extended;
    frame->remote = (kind == (uint8_t)'r') || (kind == (uint8_t)'R');
    frame->dlc = digit(line[at]);
    if (frame->dlc > CAN_DATA_MAX) {
        return false;
    }
    expected = (uint8_t)(at + 1u);
    if (!frame->remote) {
        expected = (uint8_t)(expected + (uint8_t)(2u * frame->dlc));
    }
    if (n != expected) {
        return false;
    }
    return frame->remote || read_bytes(&line[at + 1u], frame->dlc, frame->data);
}

/* One decimal digit up to `highest` behind the letter, into `argument`. */
static bool read_choice(slcan_t *channel, const uint8_t *line, uint8_t n, uint8_t highest)
{
    if ((n != 2u) || (digit(line[1]) > highest)) {
        return false;
    }
    channel->argument = digit(line[1]);
    return true;
}

static slcan_action_t choose_rate(slcan_t *channel, const uint8_t *line, uint8_t n)
{
    static const uint8_t btr0_of[RATES] = {0x71u, 0x58u, 0x49u, 0x44u, 0x43u,
                                           0x41u, 0x40u, 0x00u, 0x00u, 0x45u};
    static const uint8_t btr1_of[RATES] = {0x1Cu, 0x1Cu, 0x1Cu, 0x1Cu, 0x1Cu,
                                           0x1Cu, 0x1Cu, 0x00u, 0x14u, 0x1Cu};

    /* A rate that is refused leaves none: the next O must not open at an old one. */
    channel->has_rate = false;
    if (!read_choice(channel, line, n, (uint8_t)(RATES - 1u))
        || (channel->argument == RATE_REFUSED)) {
        return SLCAN_REFUSE;
    }
    channel->btr0 = btr0_of[channel->argument];
    channel->btr1 = btr1_of[channel->argument];
    channel->has_rate = true;
    return SLCAN_ACCEPT;
}

static slcan_action_t choose_timing(slcan_t *channel, const uint8_t *line, uint8_t n)
{
    uint8_t btr[2];

    channel->has_rate = false;
    if ((n != 5u) || !read_bytes(&line[1], 2u, btr)) {
        return SLCAN_REFUSE;
    }
    channel->btr0 = btr[0];
    channel->btr1 = btr[1];
    channel->has_rate = true;
    return SLCAN_ACCEPT;
}

static slcan_action_t choose_filter(slcan_t *channel, const uint8_t *line, uint8_t n)
{
    uint8_t bytes[4];
    uint8_t *register_of = (line[0] == (uint8_t)'M') ? channel->code : channel->mask;

    if ((n != 9u) || !read_bytes(&line[1], 4u, bytes)) {
        return SLCAN_REFUSE;
    }
    for (uint8_t i = 0u; i < 4u; i++) {
        register_of[i] = bytes[i];
    }
    channel->accepts_all = word_of(channel->mask) == 0xFFFFFFFFu;
    return SLCAN_ACCEPT;
}

static slcan_action_t accept_if(bool condition)
{
    return condition ? SLCAN_ACCEPT : SLCAN_REFUSE;
}

static slcan_action_t action_if(bool condition, slcan_action_t action)
{
    return condition ? action : SLCAN_REFUSE;
}

/* Commands of a closed channel. */
static slcan_action_t closed_command(slcan_t *channel, const uint8_t *line, uint8_t n)
{
    slcan_action_t action = SLCAN_REFUSE;

    switch (line[0]) {
    case (uint8_t)'S':
        action = choose_rate(channel, line, n);
        break;
    case (uint8_t)'s':
        action = choose_timing(channel, line, n);
        break;
    case (uint8_t)'M':
    case (uint8_t)'m':
        action = choose_filter(channel, line, n);
        break;
    case (uint8_t)'W':
        if (read_choice(channel, line, n, 1u)) {
            channel->single_filter = channel->argument == 1u;
            action = SLCAN_ACCEPT;
        }
        break;
    case (uint8_t)'X':
        if (read_choice(channel, line, n, 1u)) {
            channel->auto_poll = channel->argument == 1u;
            action = SLCAN_ACCEPT;
        }
        break;
    case (uint8_t)'Z':
        if (read_choice(channel, line, n, 2u)) {
            channel->stamps = (slcan_stamp_t)channel->argument;
            action = SLCAN_ACCEPT;
        }
        break;
    case (uint8_t)'U':
        action = action_if(read_choice(channel, line, n, 6u), SLCAN_UART);
        break;
    case (uint8_t)'O':
    case (uint8_t)'L':
        if ((n == 1u) && channel->has_rate) {
            channel->mode = (line[0] == (uint8_t)'O') ? SLCAN_NORMAL : SLCAN_LISTEN;
            action = SLCAN_OPEN;
        }
        break;
    default:
        /* t, F, P, A, Q and C need an open channel; the rest is unknown */
        break;
    }
    return action;
}

/* Commands of an open channel. */
static slcan_action_t open_command(slcan_t *channel, const uint8_t *line, uint8_t n)
{
    slcan_action_t action = SLCAN_REFUSE;

    switch (line[0]) {
    case (uint8_t)'t':
    case (uint8_t)'T':
    case (uint8_t)'r':
    case (uint8_t)'R':
        action = action_if((channel->mode == SLCAN_NORMAL)
                               && read_frame(&channel->frame, line, n),
                           SLCAN_SEND);
        break;
    case (uint8_t)'C':
        action = action_if(n == 1u, SLCAN_CLOSE);
        break;
    case (uint8_t)'F':
        action = action_if(n == 1u, SLCAN_FLAGS);
        break;
    case (uint8_t)'P':
        action = action_if((n == 1u) && !channel->auto_poll, SLCAN_POLL);
        break;
    case (uint8_t)'A':
        action = action_if((n == 1u) && !channel->auto_poll, SLCAN_POLL_ALL);
        break;
    case (uint8_t)'Q':
        action = action_if(read_choice(channel, line, n, 2u), SLCAN_STORE);
        break;
    default:
        /* S, s, M, m, W, X, Z, U and a second O need a closed channel; the d, D, b, B
         * and Y of CAN FD are nothing this chip can do */
        break;
    }
    return action;
}

slcan_action_t slcan_command(slcan_t *channel, const uint8_t *line, uint8_t n)
{
    slcan_action_t action;

    if ((n == 0u) || (n > SLCAN_LINE_MAX)) {
        action = accept_if(n == 0u);
    } else if (line[0] == (uint8_t)'V') {
        action = action_if(n == 1u, SLCAN_VERSION);
    } else if (line[0] == (uint8_t)'N') {
        action = action_if(n == 1u, SLCAN_SERIAL);
    } else if (channel->mode == SLCAN_CLOSED) {
        action = closed_command(channel, line, n);
    } else {
        action = open_command(channel, line, n);
    }
    return action;
}

static uint8_t hex(uint8_t value)
{
    const uint8_t low = (uint8_t)(value & 0x0Fu);

    return (low < 10u) ? (uint8_t)(low + (uint8_t)'0')
                       : (uint8_t)((uint8_t)(low - 10u) + (uint8_t)'A');
}

static uint8_t *write_byte(uint8_t *out, uint8_t byte)
{
    out[0] = hex((uint8_t)(byte >> 4));
    out[1] = hex(byte);
    return &out[2];
}

static uint8_t *write_word(uint8_t *out, uint32_t word)
{
    uint8_t *at = out;

    at = write_byte(at, (uint8_t)(word >> 24));
    at = write_byte(at, (uint8_t)((word >> 16) & 0xFFu));
    at = write_byte(at, (uint8_t)((word >> 8) & 0xFFu));
    return write_byte(at, (uint8_t)(word & 0xFFu));
}

uint8_t slcan_sent(const slcan_t *channel, uint8_t *out)
{
    uint8_t n = 0u;

    if (channel->auto_poll) {
        out[0] = channel->frame.extended ? (uint8_t)'Z' : (uint8_t)'z';
        n = 1u;
    }
    out[n] = SLCAN_OK;
    return (uint8_t)(n + 1u);
}

uint8_t slcan_frame_line(const slcan_t *channel, const can_frame_t *frame, uint8_t *out)
{
    uint8_t *at = &out[1];
    uint8_t n; /* with the CR */

    if (frame->extended) {
        out[0] = frame->remote ? (uint8_t)'R' : (uint8_t)'T';
        at = write_word(at, frame->id);
        n = 11u;
    } else {
        const uint16_t id = (uint16_t)(frame->id & 0x7FFu);

        out[0] = frame->remote ? (uint8_t)'r' : (uint8_t)'t';
        *at = hex((uint8_t)(id >> 8));
        at = write_byte(&at[1], (uint8_t)(id & 0xFFu));
        n = 6u;
    }
    *at = hex(frame->dlc);
    at = &at[1];
    if (!frame->remote) {
        for (uint8_t i = 0u; i < frame->dlc; i++) {
            at = write_byte(at, frame->data[i]);
            n = (uint8_t)(n + 2u);
        }
    }
    if (channel->stamps == SLCAN_STAMP_MS) {
        const uint16_t ms = (uint16_t)(frame->stamp % MS_WRAP);

        at = write_byte(at, (uint8_t)(ms >> 8));
        at = write_byte(at, (uint8_t)(ms & 0xFFu));
        n = (uint8_t)(n + 4u);
    } else if (channel->stamps == SLCAN_STAMP_US) {
        at = write_word(at, frame->stamp);
        n = (uint8_t)(n + 8u);
    } else {
        /* no stamp */
    }
    *at = SLCAN_OK;
    return n;
}

uint8_t slcan_flags_line(uint8_t flags, uint8_t *out)
{
    out[0] = (uint8_t)'F';
    (void)write_byte(&out[1], flags);
    out[3] = SLCAN_OK;
    return 4u;
}
