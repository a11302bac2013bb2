/* Any bytes on the serial line of the cell bridge and any measurement, in any order.
 * The input is a row of steps: kind, length, that many bytes. */
#include "fuzz.h"

#include "bridge.h"
#include "cobs.h"
#include "crc16.h"

#define SETTINGS 2u /* of the input, in front of the steps */

static bridge_t bridge;
static uint32_t now_ms;
static uint16_t valid_scans; /* in a row, at least */
static bool armed;

static void act(bool feedback)
{
    const bool closed = bridge_tick(&bridge, feedback, now_ms);

    armed = armed && closed;
    promise(closed == armed);
    promise(!closed || (bridge.calibrated && (bridge.safety.latched == 0u)));
}

static void take_frame(const frame_t *request)
{
    frame_t answer;
    frame_t heard;
    uint8_t *wire;
    uint16_t n;

    memset(&answer, 0x5A, sizeof answer);
    if (bridge_answer(&bridge, request, &answer, now_ms)) {
        wire = malloc(FRAME_WIRE_MAX);
        n = frame_encode(&answer, wire);
        promise((n > 0u) && (n <= FRAME_WIRE_MAX) && (wire[n - 1u] == FRAME_DELIMITER));
        promise(memchr(wire, FRAME_DELIMITER, n) == &wire[n - 1u]);
        promise(frame_decode(wire, (uint16_t)(n - 1u), &heard));
        promise((heard.length == answer.length) && (heard.type == answer.type));
        promise(memcmp(heard.payload, answer.payload, heard.length) == 0);
        free(wire);
        if ((answer.type == BL_OUTCOME)
            && (answer.payload[BL_OUTCOME_AT_OUTCOME] == BL_OUTCOME_DONE)) {
            if (answer.payload[BL_OUTCOME_AT_OF] == BL_ASK_ARM) {
                promise(armed || (valid_scans >= SAFETY_SCANS));
                armed = true;
            } else {
                armed = false;
            }
        }
    }
}

/* A line as it comes; one that is no frame also with its CRC put right. */
static void take_line(const uint8_t *line, size_t n)
{
    frame_t frame;
    uint8_t *copy = copy_of(line, n);
    uint8_t raw[FRAME_RAW_MAX];
    uint8_t *wire;
    uint16_t length;

    if (frame_decode(copy, (uint16_t)n, &frame)) {
        promise(frame.length <= FRAME_PAYLOAD_MAX);
        take_frame(&frame);
    } else if (n <= (FRAME_RAW_MAX - 2u)) {
        memcpy(raw, line, n);
        frame_put_u16(&raw[n], crc16(raw, (uint16_t)n));
        wire = malloc(n + 3u);
        length = cobs_encode(raw, (uint16_t)(n + 2u), wire);
        promise(length == (n + 3u));
        promise(frame_decode(wire, length, &frame) == (n >= FRAME_HEADER));
        if (n >= FRAME_HEADER) {
            take_frame(&frame);
        }
        free(wire);
    } else {
        bridge_lost_lines(&bridge, 1u);
    }
    free(copy);
}

/* A request of this very protocol. */
static void take_request(uint8_t type, uint16_t sequence)
{
    frame_t frame = {.version = BL_VERSION, .type = type, .sequence = sequence,
                     .length = BL_ASK_ARM_SIZE};

    frame_put_u32(frame.payload, BL_HASH);
    take_frame(&frame);
}

static void scan_of(const uint8_t *data, size_t n)
{
    bridge_scan_t scan = {.current_sum = 8192u, .pec_ok = true, .converted = true};

    for (uint8_t i = 0u; i < BL_CELLS; i++) {
        scan.code_100uv[i] = 36000u;
    }
    for (uint8_t i = 0u; i < BL_TEMPERATURES; i++) {
        scan.temperature_cdegc[i] = 2500;
    }
    if (n >= 5u) {
        scan.code_100uv[data[0] % BL_CELLS] = frame_get_u16(&data[1]);
        scan.current_sum = frame_get_u16(&data[3]);
        scan.pec_ok = (data[0] & 0x40u) == 0u;
        scan.converted = (data[0] & 0x80u) == 0u;
    }
    if (n >= 8u) {
        scan.temperature_cdegc[data[5] % BL_TEMPERATURES] =
            (int16_t)frame_get_u16(&data[6]);
    }
    bridge_take_scan(&bridge, &scan, now_ms);
    valid_scans = (uint16_t)((bridge.safety.valid_scans == 0u) ? 0u : valid_scans + 1u);
}

static void step(uint8_t kind, const uint8_t *data, size_t n)
{
    switch (kind % 6u) {
    case 0u:
        take_line(data, n);
        break;
    case 1u:
        if (n > 0u) {
            take_request(data[0], (n > 1u) ? data[1] : 0u);
        }
        break;
    case 2u:
        scan_of(data, n);
        break;
    case 3u:
        now_ms += (n > 3u) ? frame_get_u32(data) : n;
        break;
    case 4u: /* half a second in which nothing is wrong */
        for (uint8_t i = 0u; i < SAFETY_SCANS; i++) {
            now_ms += BL_SCAN_MS;
            scan_of(NULL, 0u);
            take_request(BL_HEARTBEAT, i % BL_HEARTBEATS);
            act(armed);
        }
        break;
    default:
        act((n % 2u) != 0u);
        break;
    }
    act((kind & 0x80u) != 0u ? !armed : armed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* protocol/calibration_example.toml, in its first 37 bytes; the rest is 0. */
    static const uint8_t example[37] = {
        0x7C, 0xB1, 1,    1,    12,   0,    4,    0x68, 0x10, 0x8C, 0x0A, 0x7C, 0x15,
        0,    0,    0x50, 0xC3, 0,    0,    0x50, 0xC3, 0,    0,    0,    0x20, 0xD4,
        0x30, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0};
    uint8_t record[BL_CALIBRATION_SIZE] = {0};
    size_t at = SETTINGS;

    if (size < SETTINGS) {
        return 0;
    }
    memcpy(record, example, sizeof example);
    frame_put_u16(&record[BL_CALIBRATION_CRC], crc16(record, BL_CALIBRATION_CRC));
    record[0] ^= (uint8_t)(data[0] & 0x80u); /* now and then a bad one */
    now_ms = (uint32_t)data[1] << 24;
    valid_scans = 0u;
    armed = false;
    memset(&bridge, 0x5A, sizeof bridge);
    bridge_init(&bridge, record, data[0] & 0x0Fu, now_ms);
    promise(bridge.calibrated == ((data[0] & 0x80u) == 0u));
    act(false);
    while ((at + 1u) < size) {
        const size_t left = size - at - 2u;
        const size_t n = (data[at + 1u] < left) ? data[at + 1u] : left;

        step(data[at], &data[at + 2u], n);
        at += 2u + n;
    }
    return 0;
}
