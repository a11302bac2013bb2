#include "calibration.h"

#include "crc16.h"
#include "frame.h"

#define SUM_MAX 16380 /* four conversions of 12 bits */

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

static bool is_limited(const safety_limits_t *limits)
{
    return (limits->under_voltage_mv < limits->over_voltage_mv)
           && (limits->over_voltage_mv <= 5000u) /* what an LTC6811 input measures */
           && (limits->under_temperature_cdegc < limits->over_temperature_cdegc)
           && (limits->charge_max_ma > 0) && (limits->discharge_max_ma > 0);
}

/* The product of a reading and its factor must fit 32 bits. */
static bool is_scaled(const calibration_t *read)
{
    return (read->current_ua != 0) && (read->current_ua >= -100000)
           && (read->current_ua <= 100000) && (read->current_zero >= 0)
           && (read->current_zero <= SUM_MAX);
}

bool calibration_read(const uint8_t *record, calibration_t *out)
{
    const uint16_t crc = frame_get_u16(&record[BL_CALIBRATION_CRC]);
    bool right = (frame_get_u16(&record[BL_CALIBRATION_AT_MAGIC]) == BL_CALIBRATION_MAGIC)
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
    right = right && is_wired(out) && is_limited(&out->limits) && is_scaled(out);
    if (!right) {
        set_default(out);
    }
    return right;
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
    if ((sum == BL_MISSING_U16) || (calibration->current_ua == 0)) {
        return BL_MISSING_I32;
    }
    return (((int32_t)sum - calibration->current_zero) * calibration->current_ua) / 1000;
}
