#include "ntc.h"

#include "bl_protocol.h"

#define STEP 64u
#define FIRST 256u

int16_t ntc_cdegc(uint16_t code)
{
    /* 0.01 degC at code 256, 320, ... 3968: T = 1 / (ln(R / 10k) / 3977 + 1 / 298.15),
     * R = 10k code / (4096 - code). Straight lines between are within 0.22 K of it. */
    static const int16_t table[] = {
        10095, 9269, 8610, 8062, 7592, 7181, 6815, 6484, 6182, 5904, 5646, 5404, 5176,
        4961, 4756, 4560, 4373, 4193, 4019, 3851, 3687, 3528, 3373, 3221, 3073, 2926,
        2782, 2640, 2500, 2361, 2223, 2086, 1949, 1812, 1675, 1538, 1400, 1262, 1121,
        980, 836, 690, 541, 388, 231, 70, -97, -271, -453, -644, -846, -1062, -1296,
        -1551, -1834, -2155, -2532, -2993, -3604,
    };
    const uint16_t behind = (uint16_t)(code - FIRST);
    const uint8_t i = (uint8_t)(behind / STEP);
    const uint16_t past = (uint16_t)(behind % STEP);
    int32_t rise;

    if ((code < NTC_SHORT) || (code > NTC_OPEN)) {
        return BL_MISSING_I16;
    }
    rise = ((int32_t)table[i + 1u] - table[i]) * (int32_t)past;
    return (int16_t)(table[i] + (rise / (int32_t)STEP));
}
