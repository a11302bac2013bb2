#include "cobs.h"

uint16_t cobs_encode(const uint8_t *in, uint16_t n, uint8_t *out)
{
    uint16_t code_at = 0u;
    uint16_t at = 1u;
    uint8_t code = 1u;

    if (n > COBS_LONGEST) {
        return 0u;
    }
    for (uint16_t i = 0u; i < n; i++) {
        if (in[i] == 0u) {
            out[code_at] = code;
            code_at = at;
            code = 1u;
        } else {
            out[at] = in[i];
            code++;
        }
        at++;
    }
    out[code_at] = code;
    return at;
}

uint16_t cobs_decode(const uint8_t *in, uint16_t n, uint8_t *out)
{
    uint16_t at = 0u;
    uint16_t i = 0u;

    if ((n < 2u) || (n > (COBS_LONGEST + 1u))) {
        return 0u;
    }
    while (i < n) {
        const uint8_t code = in[i];

        if ((code == 0u) || (code > (n - i))) {
            return 0u;
        }
        i++;
        for (uint8_t k = 1u; k < code; k++) {
            if (in[i] == 0u) {
                return 0u;
            }
            out[at] = in[i];
            at++;
            i++;
        }
        if (i < n) {
            out[at] = 0u;
            at++;
        }
    }
    return at;
}
