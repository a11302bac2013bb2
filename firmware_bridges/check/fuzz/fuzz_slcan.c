/* Any bytes on the serial line of the SLCAN bridge, as its program hands them on. */
#include "fuzz.h"

#include "slcan.h"

static void check_frame(slcan_t *channel)
{
    const can_frame_t frame = channel->frame;
    uint8_t *out = malloc(SLCAN_FRAME_MAX);
    uint8_t sent[2];
    uint8_t n;
    slcan_t other;

    promise(channel->mode == SLCAN_NORMAL);
    promise(frame.dlc <= CAN_DATA_MAX);
    promise(frame.id <= (frame.extended ? 0x1FFFFFFFu : 0x7FFu));
    promise(slcan_sent(channel, sent) <= sizeof sent);

    /* Its line, without a stamp, is the same frame again. */
    n = slcan_frame_line(channel, &frame, out);
    promise((n <= SLCAN_FRAME_MAX) && (out[n - 1u] == SLCAN_OK));
    other = *channel;
    other.stamps = SLCAN_NO_STAMP;
    n = slcan_frame_line(&other, &frame, out);
    promise(slcan_command(&other, out, (uint8_t)(n - 1u)) == SLCAN_SEND);
    promise((other.frame.id == frame.id) && (other.frame.dlc == frame.dlc)
            && (other.frame.remote == frame.remote)
            && (other.frame.extended == frame.extended));
    if (!frame.remote) {
        promise(memcmp(other.frame.data, frame.data, frame.dlc) == 0);
    }
    promise(slcan_accepts(channel, &frame) || !channel->accepts_all);
    free(out);
}

static void take_line(slcan_t *channel, const uint8_t *line, size_t n)
{
    /* The program cuts longer lines; one byte more than the longest shows that. */
    const uint8_t length = (uint8_t)((n > SLCAN_LINE_MAX) ? SLCAN_LINE_MAX + 1u : n);
    uint8_t *copy = copy_of(line, length);
    const slcan_mode_t before = channel->mode;

    switch (slcan_command(channel, copy, length)) {
    case SLCAN_SEND:
        check_frame(channel);
        break;
    case SLCAN_OPEN:
        promise((before == SLCAN_CLOSED) && (channel->mode != SLCAN_CLOSED));
        promise(channel->has_rate);
        break;
    case SLCAN_CLOSE:
        promise(before != SLCAN_CLOSED);
        channel->mode = SLCAN_CLOSED;
        break;
    case SLCAN_REFUSE:
    case SLCAN_ACCEPT:
        promise(channel->mode == before);
        break;
    default:
        promise(channel->mode == before);
        promise(channel->argument <= 9u);
        break;
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slcan_t channel;
    size_t from = 0u;

    slcan_init(&channel);
    for (size_t at = 0u; at < size; at++) {
        if (data[at] == SLCAN_OK) {
            take_line(&channel, &data[from], at - from);
            from = at + 1u;
        }
    }
    return 0;
}
