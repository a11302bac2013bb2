/* The cell bridge without its hardware: raw codes in, values and frames out. */
#ifndef BRIDGE_H
#define BRIDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "bl_protocol.h"
#include "calibration.h"
#include "frame.h"
#include "safety.h"

#define BRIDGE_MAJOR 1u
#define BRIDGE_MINOR 0u

typedef struct {
    calibration_t calibration;
    safety_t safety;
    uint16_t cell_100uv[BL_CELLS];              /* corrected, BL_MISSING_U16: unknown */
    int16_t temperature_cdegc[BL_TEMPERATURES]; /* corrected */
    int32_t current_ma;
    uint32_t scanned_ms;
    uint16_t scan;
    uint16_t sequence;
    uint16_t lost_lines;
    uint8_t reset_cause;
    bool calibrated;
    bool feedback;
} bridge_t;

/* What the hardware gave in one scan; cells in the order of the wire, the unused inputs
 * of a front end left out. */
typedef struct {
    uint16_t code_100uv[BL_CELLS];
    int16_t temperature_cdegc[BL_TEMPERATURES];
    uint16_t current_sum; /* of four conversions; BL_MISSING_U16: converter dead */
    bool pec_ok;
    bool converted;
} bridge_scan_t;

/* `record`: BL_CALIBRATION_SIZE bytes of the EEPROM. `reset_cause`: bit 0 power-on,
 * 1 external, 2 brown-out, 3 watchdog, 4 marked (bridge_is_marked). */
void bridge_init(bridge_t *bridge, const uint8_t *record, uint8_t reset_cause,
                 uint32_t now_ms);

void bridge_take_scan(bridge_t *bridge, const bridge_scan_t *scan, uint32_t now_ms);

/* Lines that the serial line lost or that were no frame. */
void bridge_lost_lines(bridge_t *bridge, uint8_t n);

/* Call often. Returns whether the contactor is to be closed. */
bool bridge_tick(bridge_t *bridge, bool feedback, uint32_t now_ms);

/* Whether a reset that comes now is to be remembered as a bad one, even if nobody can
 * say what caused it: the contactor is closed, or the last bad reset is still latched. */
bool bridge_is_marked(const bridge_t *bridge);

/* Act on a frame of the host. True: send `answer`. */
bool bridge_answer(bridge_t *bridge, const frame_t *request, frame_t *answer,
                   uint32_t now_ms);

#endif
