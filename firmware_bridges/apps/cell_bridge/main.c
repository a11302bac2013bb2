/* The cell bridge: measures every 10 ms, answers the host, and keeps the contactor
 * open unless core/safety.c says closed. The watchdog is fed by finished scans alone,
 * so a stopped clock, a bus that hangs or a loop without end all release the contactor
 * within 60 ms. */
#include "bl_protocol.h"
#include "bridge.h"
#include "frame.h"
#include "hal.h"
#include "ltc68xx.h"
#include "mcp320x.h"
#include "ntc.h"

/* Channels of the MCP3208. */
#define CHANNEL_CURRENT 0u
#define CHANNEL_NTC 1u       /* first of BL_TEMPERATURES */
#define CHANNEL_REFERENCE 7u /* half the reference, from two resistors of 1 % */
#define CURRENT_CONVERSIONS 4u
#define REFERENCE_LOW 1987u /* 2048 less 3 % */
#define REFERENCE_HIGH 2109u
/* A difference of times beyond this is a negative one. */
#define FUTURE 0x80000000UL

static bridge_t bridge;
static bridge_scan_t scan;
static uint16_t codes[BL_FRONT_ENDS * LTC_CELLS];
static uint8_t line[FRAME_WIRE_MAX];
static uint8_t line_length;
static frame_t answer;

static void act(uint32_t now_ms)
{
    const bool closed = bridge_tick(&bridge, hal_contactor_feedback(), now_ms);

    hal_mark(bridge_is_marked(&bridge));
    hal_contactor(closed);
}

static void send(void)
{
    uint8_t wire[FRAME_WIRE_MAX];
    const uint16_t n = frame_encode(&answer, wire);

    if (hal_uart_room() > n) { /* else it is lost, and its number tells the host */
        hal_uart_write(FRAME_DELIMITER);
        for (uint16_t i = 0u; i < n; i++) {
            hal_uart_write(wire[i]);
        }
    }
}

static void take_line(void)
{
    static frame_t request; /* large: off the stack */

    if (line_length > 0u) {
        if (!frame_decode(line, line_length, &request)) {
            bridge_lost_lines(&bridge, 1u);
        } else if (bridge_answer(&bridge, &request, &answer, hal_millis())) {
            act(hal_millis()); /* first the contactor, then the answer */
            send();
        } else {
            /* a heartbeat */
        }
    }
    line_length = 0u;
}

static void listen(void)
{
    static bool too_long;
    uint8_t byte;

    bridge_lost_lines(&bridge, hal_uart_lost_lines());
    while (hal_uart_read(&byte)) {
        if (byte == FRAME_DELIMITER) {
            if (too_long) {
                bridge_lost_lines(&bridge, 1u);
                line_length = 0u;
            }
            too_long = false;
            take_line();
            return; /* one line at a time, so that scans stay in time */
        }
        if (line_length < sizeof line) {
            line[line_length] = byte;
            line_length++;
        } else {
            too_long = true;
        }
    }
}

/* Everything that takes no time to convert. */
static void read_analog(void)
{
    const uint16_t reference = mcp320x_read(CHANNEL_REFERENCE);
    const bool alive = (reference >= REFERENCE_LOW) && (reference <= REFERENCE_HIGH);

    scan.current_sum = 0u;
    for (uint8_t i = 0u; i < CURRENT_CONVERSIONS; i++) {
        scan.current_sum = (uint16_t)(scan.current_sum + mcp320x_read(CHANNEL_CURRENT));
    }
    for (uint8_t i = 0u; i < BL_TEMPERATURES; i++) {
        const int16_t cdegc = ntc_cdegc(mcp320x_read((uint8_t)(CHANNEL_NTC + i)));

        scan.temperature_cdegc[i] = alive ? cdegc : BL_MISSING_I16;
    }
    if (!alive) {
        scan.current_sum = BL_MISSING_U16;
    }
}

/* Start a conversion of all cells. The cleared registers are read back, so a front end
 * that gives the same answer for ever is found out. */
static void start_cells(void)
{
    const uint8_t chips = bridge.calibration.n_front_ends;

    ltc_wake(chips);
    ltc_clear();
    scan.pec_ok = true;
    scan.converted = true;
    for (uint8_t group = 0u; group < LTC_GROUPS; group++) {
        scan.pec_ok = ltc_read_group(group, chips, codes) && scan.pec_ok;
    }
    for (uint8_t i = 0u; i < (chips * LTC_CELLS); i++) {
        scan.converted = scan.converted && (codes[i] == LTC_CLEARED);
    }
    ltc_convert();
}

static void finish_cells(void)
{
    const uint8_t chips = bridge.calibration.n_front_ends;
    uint8_t cell = 0u;

    for (uint8_t group = 0u; group < LTC_GROUPS; group++) {
        scan.pec_ok = ltc_read_group(group, chips, codes) && scan.pec_ok;
    }
    for (uint8_t chip = 0u; chip < chips; chip++) {
        for (uint8_t i = 0u; i < bridge.calibration.cells[chip]; i++) {
            scan.code_100uv[cell] = codes[(chip * LTC_CELLS) + i];
            scan.converted = scan.converted && (scan.code_100uv[cell] != LTC_CLEARED);
            cell++;
        }
    }
}

/* Measure in turns, so that the serial line is served while the cells convert. */
static void measure(void)
{
    static uint32_t due_ms;
    static uint32_t started_us;
    static bool converting;
    const uint32_t now_ms = hal_millis();

    if (converting) {
        if ((uint32_t)(hal_micros() - started_us) >= LTC_CONVERSION_US) {
            converting = false;
            finish_cells();
            bridge_take_scan(&bridge, &scan, hal_millis());
            hal_watchdog_kick();
        }
    } else if ((uint32_t)(now_ms - due_ms) < FUTURE) {
        due_ms = now_ms + BL_SCAN_MS;
        start_cells();
        started_us = hal_micros();
        converting = true;
        read_analog();
    } else {
        /* waiting for the next scan */
    }
}

int main(void)
{
    uint8_t record[BL_CALIBRATION_SIZE];
    uint32_t since_us;

    hal_init(FRAME_DELIMITER);
    for (uint8_t i = 0u; i < BL_CALIBRATION_SIZE; i++) {
        record[i] = hal_eeprom_read(i);
    }
    bridge_init(&bridge, record, hal_reset_cause(), hal_millis());
    hal_watchdog_start();

    /* The first conversion would otherwise wait for the reference of the front end. */
    ltc_wake(bridge.calibration.n_front_ends);
    since_us = hal_micros();
    while ((uint32_t)(hal_micros() - since_us) < LTC_REFERENCE_US) {
    }
    for (;;) {
        measure();
        act(hal_millis());
        listen();
    }
}
