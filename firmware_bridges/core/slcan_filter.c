#include "slcan.h"

/* The frame as the SJA1000's acceptance registers see it (Philips SJA1000 data sheet,
 * 6.4.15): four bytes; the bits no filter looks at are left 0 in `looks`. */
static void filter_bytes(const can_frame_t *frame, uint8_t *bytes, uint8_t *looks)
{
    const uint8_t remote = frame->remote ? 1u : 0u;

    if (frame->extended) {
        const uint32_t left = (frame->id << 3) | ((uint32_t)remote << 2);

        bytes[0] = (uint8_t)(left >> 24);
        bytes[1] = (uint8_t)((left >> 16) & 0xFFu);
        bytes[2] = (uint8_t)((left >> 8) & 0xFFu);
        bytes[3] = (uint8_t)(left & 0xFFu);
        looks[2] = 0xFFu;
        looks[3] = 0xFCu;
    } else {
        const uint16_t id = (uint16_t)(frame->id & 0x7FFu);
        const uint8_t low = (uint8_t)((uint8_t)(id & 0x07u) << 5);

        bytes[0] = (uint8_t)(id >> 3);
        bytes[1] = (uint8_t)(low | (uint8_t)(remote << 4));
        bytes[2] = frame->data[0];
        bytes[3] = frame->data[1];
        looks[2] = ((remote == 0u) && (frame->dlc > 0u)) ? 0xFFu : 0x00u;
        looks[3] = ((remote == 0u) && (frame->dlc > 1u)) ? 0xFFu : 0x00u;
    }
    looks[0] = 0xFFu;
    looks[1] = frame->extended ? 0xFFu : 0xF0u;
}

static bool differs(const slcan_t *channel, uint8_t at, uint8_t byte, uint8_t looks)
{
    const uint8_t wrong = (uint8_t)(channel->code[at] ^ byte);
    const uint8_t counts = (uint8_t)(looks & (uint8_t)~channel->mask[at]);

    return (wrong & counts) != 0u;
}

bool slcan_accepts(const slcan_t *channel, const can_frame_t *frame)
{
    uint8_t bytes[4];
    uint8_t looks[4];
    bool accepted;

    if (channel->accepts_all) {
        return true;
    }
    filter_bytes(frame, bytes, looks);
    if (channel->single_filter) {
        accepted = true;
        for (uint8_t i = 0u; i < 4u; i++) {
            accepted = accepted && !differs(channel, i, bytes[i], looks[i]);
        }
    } else {
        /* Two filters on the identifier (and RTR of a standard frame); extended
         * frames: its upper 16 bits. The first also sees the first data byte, whose
         * lower half is in the last register. */
        bool first = !differs(channel, 0u, bytes[0], looks[0])
                     && !differs(channel, 1u, bytes[1], looks[1]);
        const bool second = !differs(channel, 2u, bytes[0], looks[0])
                            && !differs(channel, 3u, bytes[1], looks[1]);

        if (!frame->extended && (looks[2] != 0u)) {
            const uint8_t upper = (uint8_t)(bytes[2] >> 4);
            const uint8_t lower = (uint8_t)(bytes[2] & 0x0Fu);

            first = first && !differs(channel, 1u, upper, 0x0Fu)
                    && !differs(channel, 3u, lower, 0x0Fu);
        }
        accepted = first || second;
    }
    return accepted;
}
