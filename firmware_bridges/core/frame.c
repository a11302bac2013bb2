#include "frame.h"

#include "cobs.h"
#include "crc16.h"

void frame_put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value & 0xFFu);
    at[1] = (uint8_t)(value >> 8);
}

void frame_put_u32(uint8_t *at, uint32_t value)
{
    frame_put_u16(&at[0], (uint16_t)(value & 0xFFFFu));
    frame_put_u16(&at[2], (uint16_t)(value >> 16));
}

uint16_t frame_get_u16(const uint8_t *at)
{
    return (uint16_t)((uint16_t)at[0] | (uint16_t)((uint16_t)at[1] << 8));
}

uint32_t frame_get_u32(const uint8_t *at)
{
    return (uint32_t)frame_get_u16(&at[0]) | ((uint32_t)frame_get_u16(&at[2]) << 16);
}

uint16_t frame_encode(const frame_t *frame, uint8_t *out)
{
    uint8_t raw[FRAME_RAW_MAX];
    uint16_t n = FRAME_HEADER;

    if (frame->length > FRAME_PAYLOAD_MAX) {
        return 0u;
    }
    raw[0] = frame->version;
    raw[1] = frame->type;
    frame_put_u16(&raw[2], frame->sequence);
    frame_put_u32(&raw[4], frame->time_ms);
    for (uint8_t i = 0u; i < frame->length; i++) {
        raw[n] = frame->payload[i];
        n++;
    }
    frame_put_u16(&raw[n], crc16(raw, n));
    n = cobs_encode(raw, (uint16_t)(n + 2u), out);
    out[n] = FRAME_DELIMITER;
    return (uint16_t)(n + 1u);
}

bool frame_decode(uint8_t *in, uint16_t n, frame_t *frame)
{
    uint16_t raw;

    if (n > (FRAME_RAW_MAX + 1u)) {
        return false;
    }
    raw = cobs_decode(in, n, in);
    if (raw < (FRAME_HEADER + 2u)) {
        return false;
    }
    raw = (uint16_t)(raw - 2u);
    if (frame_get_u16(&in[raw]) != crc16(in, raw)) {
        return false;
    }
    frame->version = in[0];
    frame->type = in[1];
    frame->sequence = frame_get_u16(&in[2]);
    frame->time_ms = frame_get_u32(&in[4]);
    frame->length = (uint8_t)(raw - FRAME_HEADER);
    for (uint8_t i = 0u; i < frame->length; i++) {
        frame->payload[i] = in[FRAME_HEADER + i];
    }
    return true;
}
