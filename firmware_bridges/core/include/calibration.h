/* What the EEPROM holds: layout of the bridge, limits, corrections of the sensors. */
#ifndef CALIBRATION_H
#define CALIBRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "bl_protocol.h"
#include "safety.h"

typedef struct {
    safety_limits_t limits;
    int32_t current_ua;
    uint16_t crc;
    uint8_t refusal; /* one of BL_REFUSAL_* */
    int16_t current_zero;
    int16_t temperature_offset_cdegc[BL_TEMPERATURES];
    int16_t cell_gain_ppm[BL_CELLS];
    int8_t cell_offset_100uv[BL_CELLS];
    uint8_t n_front_ends;
    uint8_t cells[BL_FRONT_ENDS]; /* at each front end */
    uint8_t n_temperatures;
} calibration_t;

/* Read a record of BL_CALIBRATION_SIZE bytes. False if its CRC is wrong, it makes no
 * sense, or it asks for more than the reference design allows: `out->refusal` says what.
 * Then `out` has one front end of twelve cells, no corrections and no limits, and its
 * current is missing. Nothing may be armed on it. */
bool calibration_read(const uint8_t *record, calibration_t *out);

uint8_t calibration_cells(const calibration_t *calibration);

/* Corrected values; a missing one stays missing. */
uint16_t calibration_cell(const calibration_t *calibration, uint8_t cell,
                          uint16_t code_100uv);
int16_t calibration_temperature(const calibration_t *calibration, uint8_t sensor,
                                int16_t cdegc);
int32_t calibration_current(const calibration_t *calibration, uint16_t sum);

#endif
