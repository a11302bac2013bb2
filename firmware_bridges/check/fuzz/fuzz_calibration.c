/* Any bytes in the EEPROM, and any reading corrected by them. */
#include "fuzz.h"

#include "calibration.h"
#include "crc16.h"
#include "frame.h"

static void check_readings(const calibration_t *read, uint16_t code)
{
    for (uint8_t i = 0u; i < BL_CELLS; i++) {
        const uint16_t cell = calibration_cell(read, i, code);

        promise((cell == BL_MISSING_U16) == (code == BL_MISSING_U16));
    }
    for (uint8_t i = 0u; i < BL_TEMPERATURES; i++) {
        const int16_t cdegc = (int16_t)code;

        promise((calibration_temperature(read, i, cdegc) == BL_MISSING_I16)
                == (cdegc == BL_MISSING_I16));
    }
    if (code > 4u * 4095u) {
        promise(calibration_current(read, code) == BL_MISSING_I32);
    }
    (void)calibration_current(read, code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t whole = 1u + BL_CALIBRATION_SIZE;
    calibration_t read;
    uint8_t *record;
    bool right;

    if (size < whole) {
        return 0;
    }
    record = copy_of(&data[1], BL_CALIBRATION_SIZE);
    if ((data[0] & 1u) != 0u) { /* what no luck would find */
        frame_put_u16(&record[BL_CALIBRATION_AT_MAGIC], BL_CALIBRATION_MAGIC);
        record[BL_CALIBRATION_AT_LAYOUT] = BL_CALIBRATION_LAYOUT;
        frame_put_u16(&record[BL_CALIBRATION_CRC], crc16(record, BL_CALIBRATION_CRC));
    }
    right = calibration_read(record, &read);
    promise((calibration_cells(&read) >= 1u) && (calibration_cells(&read) <= BL_CELLS));
    promise((read.n_front_ends >= 1u) && (read.n_front_ends <= BL_FRONT_ENDS));
    promise((read.n_temperatures >= 1u) && (read.n_temperatures <= BL_TEMPERATURES));
    for (uint8_t i = 0u; i < BL_FRONT_ENDS; i++) {
        promise(read.cells[i] <= BL_CELLS_PER_FRONT_END);
    }
    promise(right == (read.limits.charge_max_ma > 0));
    promise(right || (calibration_current(&read, 0u) == BL_MISSING_I32));
    for (size_t at = whole; (at + 1u) < size; at += 2u) {
        check_readings(&read, frame_get_u16(&data[at]));
    }
    check_readings(&read, 0u);
    check_readings(&read, 0x8000u);
    check_readings(&read, 0xFFFEu);
    free(record);
    return 0;
}
