#include "calibration.h"

#include "crc16.h"
#include "frame.h"

#define SUM_MAX 16380u /* four conversions of 12 bits */
#define CURRENT_MAX_UA 100000 /* times SUM_MAX it fits 32 bits */

static int16_t get_i16(const uint8_t *at)
{
    return (int16_t)frame_get_u16(at);
}

static int32_t get_i32(const uint8_t *at)
{
    return (int32_t)frame_get_u32(at);
}

static void set_default(calibration_t *out)
{
    out->limits.over_voltage_mv = BL_MISSING_U16;
    out->limits.under_voltage_mv = 0u;
    out->limits.over_temperature_cdegc = 32767;
    out->limits.under_temperature_cdegc = -32767;
    out->limits.charge_max_ma = 0;
    out->limits.discharge_max_ma = 0;
    out->current_ua = 0;
    out->crc = 0u;
    out->current_zero = 0;
    out->n_front_ends = 1u;
    out->cells[0] = BL_CELLS_PER_FRONT_END;
    out->cells[1] = 0u;
    out->n_temperatures = BL_TEMPERATURES;
    for (uint8_t i = 0u; i < BL_TEMPERATURES; i++) {
        out->temperature_offset_cdegc[i] = 0;
    }
    for (uint8_t i = 0u; i < BL_CELLS; i++) {
        out->cell_gain_ppm[i] = 0;
        out->cell_offset_100uv[i] = 0;
    }
}

/* One or two front ends, with cells on each and on no other. */
static bool is_wired(const calibration_t *read)
{
    const uint8_t second = read->cells[1];
    bool right = (read->cells[0] >= 1u) && (read->cells[0] <= BL_CELLS_PER_FRONT_END);

    if (read->n_front_ends == 1u) {
        right = right && (second == 0u);
    } else if (read->n_front_ends == BL_FRONT_ENDS) {
        right = right && (second >= 1u) && (second <= BL_CELLS_PER_FRONT_END);
    } else {
        right = false;
    }
    return right && (read->n_temperatures >= 1u)
           && (read->n_temperatures <= BL_TEMPERATURES);
}

static bool is_voltage_right(const safety_limits_t *limits)
{
    return (limits->under_voltage_mv < limits->over_voltage_mv)
           && (limits->over_voltage_mv <= BL_DESIGN_OVER_VOLTAGE_MAX_MV)
           && (limits->under_voltage_mv >= BL_DESIGN_UNDER_VOLTAGE_MIN_MV);
}

static bool is_temperature_right(const safety_limits_t *limits)
{
    return (limits->under_temperature_cdegc < limits->over_temperature_cdegc)
           && (limits->over_temperature_cdegc <= BL_DESIGN_OVER_TEMPERATURE_MAX_CDEGC)
           && (limits->under_temperature_cdegc >= BL_DESIGN_UNDER_TEMPERATURE_MIN_CDEGC);
}

static bool is_current_right(const safety_limits_t *limits)
{
    return (limits->charge_max_ma > 0) && (limits->discharge_max_ma > 0)
           && (limits->charge_max_ma <= BL_DESIGN_CURRENT_MAX_MA)
           && (limits->discharge_max_ma <= BL_DESIGN_CURRENT_MAX_MA);
}

static int32_t less_margin(int32_t ma)
{
    return ma - ((ma / 100) * BL_DESIGN_SENSOR_MARGIN_PERCENT);
}

/* The product of a reading and its factor fits 32 bits, and a current at either limit
 * is one that the converter can show. */
static bool is_sensor_right(const calibration_t *read)
{
    bool right = (read->current_ua != 0) && (read->current_ua >= -CURRENT_MAX_UA)
                 && (read->current_ua <= CURRENT_MAX_UA) && (read->current_zero >= 0)
                 && (read->current_zero <= (int16_t)SUM_MAX);

    if (right) {
        const int32_t at_first = calibration_current(read, 0u);
        const int32_t at_last = calibration_current(read, SUM_MAX);
        const int32_t highest = (at_first > at_last) ? at_first : at_last;
        const int32_t lowest = (at_first > at_last) ? at_last : at_first;

        right = (read->limits.charge_max_ma <= less_margin(highest))
                && (read->limits.discharge_max_ma <= -less_margin(lowest));
    }
    return right;
}

static bool is_within(int16_t value, int16_t bound)
{
    return (value >= -bound) && (value <= bound);
}

static bool is_correction_right(const calibration_t *read)
{
    bool right = true;

    for (uint8_t i = 0u; i < BL_TEMPERATURES; i++) {
        right = right
                && is_within(read->temperature_offset_cdegc[i],
                             BL_DESIGN_TEMPERATURE_OFFSET_MAX_CDEGC);
    }
    for (uint8_t i = 0u; i < BL_CELLS; i++) {
        right = right && is_within(read->cell_gain_ppm[i], BL_DESIGN_CELL_GAIN_MAX_PPM);
    }
    return right;
}

static uint8_t refusal_of(const calibration_t *read)
{
    uint8_t refusal = BL_REFUSAL_NONE;

    if (!is_wired(read)) {
        refusal = BL_REFUSAL_WIRING;
    } else if (!is_voltage_right(&read->limits)) {
        refusal = BL_REFUSAL_VOLTAGE;
    } else if (!is_temperature_right(&read->limits)) {
        refusal = BL_REFUSAL_TEMPERATURE;
    } else if (!is_current_right(&read->limits)) {
        refusal = BL_REFUSAL_CURRENT;
    } else if (!is_sensor_right(read)) {
        refusal = BL_REFUSAL_SENSOR;
    } else if (!is_correction_right(read)) {
        refusal = BL_REFUSAL_CORRECTION;
    } else {
        /* within the design */
    }
    return refusal;
}

bool calibration_read(const uint8_t *record, calibration_t *out)
{
    const uint16_t crc = frame_get_u16(&record[BL_CALIBRATION_CRC]);
    const bool whole =
        (frame_get_u16(&record[BL_CALIBRATION_AT_MAGIC]) == BL_CALIBRATION_MAGIC)
        && (record[BL_CALIBRATION_AT_LAYOUT] == BL_CALIBRATION_LAYOUT)
        && (crc == crc16(record, BL_CALIBRATION_CRC));

    out->crc = crc;
    out->n_front_ends = record[BL_CALIBRATION_AT_N_FRONT_ENDS];
    out->cells[0] = record[BL_CALIBRATION_AT_CELLS_FIRST];
    out->cells[1] = record[BL_CALIBRATION_AT_CELLS_SECOND];
    out->n_temperatures = record[BL_CALIBRATION_AT_N_TEMPERATURES];
    out->limits.over_voltage_mv = frame_get_u16(&record[BL_CALIBRATION_AT_OVER_VOLTAGE_MV]);
    out->limits.under_voltage_mv =
        frame_get_u16(&record[BL_CALIBRATION_AT_UNDER_VOLTAGE_MV]);
    out->limits.over_temperature_cdegc =
        get_i16(&record[BL_CALIBRATION_AT_OVER_TEMPERATURE_CDEGC]);
    out->limits.under_temperature_cdegc =
        get_i16(&record[BL_CALIBRATION_AT_UNDER_TEMPERATURE_CDEGC]);
    out->limits.charge_max_ma = get_i32(&record[BL_CALIBRATION_AT_CHARGE_MAX_MA]);
    out->limits.discharge_max_ma = get_i32(&record[BL_CALIBRATION_AT_DISCHARGE_MAX_MA]);
    out->current_zero = get_i16(&record[BL_CALIBRATION_AT_CURRENT_ZERO]);
    out->current_ua = get_i32(&record[BL_CALIBRATION_AT_CURRENT_UA]);
    for (uint8_t i = 0u; i < BL_TEMPERATURES; i++) {
        out->temperature_offset_cdegc[i] =
            get_i16(&record[BL_CALIBRATION_AT_TEMPERATURE_OFFSET_CDEGC + (2u * i)]);
    }
    for (uint8_t i = 0u; i < BL_CELLS; i++) {
        out->cell_gain_ppm[i] = get_i16(&record[BL_CALIBRATION_AT_CELL_GAIN_PPM + (2u * i)]);
        out->cell_offset_100uv[i] =
            (int8_t)record[BL_CALIBRATION_AT_CELL_OFFSET_100UV + i];
    }
    out->refusal = whole ? refusal_of(out) : BL_REFUSAL_NO_RECORD;
    if (out->refusal != BL_REFUSAL_NONE) {
        set_default(out);
    }
    return out->refusal == BL_REFUSAL_NONE;
}

uint8_t calibration_cells(const calibration_t *calibration)
{
    return (uint8_t)(calibration->cells[0] + calibration->cells[1]);
}

uint16_t calibration_cell(const calibration_t *calibration, uint8_t cell,
                          uint16_t code_100uv)
{
    int32_t value = (int32_t)code_100uv;

    if (code_100uv == BL_MISSING_U16) {
        return BL_MISSING_U16;
    }
    value += ((int32_t)code_100uv * calibration->cell_gain_ppm[cell]) / 1000000;
    value += calibration->cell_offset_100uv[cell];
    if (value < 0) {
        value = 0;
    }
    if (value >= (int32_t)BL_MISSING_U16) {
        value = (int32_t)BL_MISSING_U16 - 1;
    }
    return (uint16_t)value;
}

int16_t calibration_temperature(const calibration_t *calibration, uint8_t sensor,
                                int16_t cdegc)
{
    int32_t value = cdegc;

    if (cdegc == BL_MISSING_I16) {
        return BL_MISSING_I16;
    }
    value += calibration->temperature_offset_cdegc[sensor];
    if (value > 32767) {
        value = 32767;
    }
    if (value < -32767) {
        value = -32767;
    }
    return (int16_t)value;
}

int32_t calibration_current(const calibration_t *calibration, uint16_t sum)
{
    /* More than SUM_MAX, BL_MISSING_U16 included, comes from no converter that works. */
    if ((sum > SUM_MAX) || (calibration->current_ua == 0)) {
        return BL_MISSING_I32;
    }
    return (((int32_t)sum - calibration->current_zero) * calibration->current_ua) / 1000;
}
