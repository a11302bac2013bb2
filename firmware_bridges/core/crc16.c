#include "crc16.h"

/* Eight steps of the polynomial at once: x^16 = x^12 + x^5 + 1, so the byte that
 * leaves at the top, folded with its own upper half, comes back shifted by 12, 5, 0. */
static uint16_t crc16_byte(uint16_t crc, uint8_t byte)
{
    const uint8_t top = (uint8_t)((uint8_t)(crc >> 8) ^ byte);
    const uint8_t folded = (uint8_t)(top ^ (uint8_t)(top >> 4));
    const uint16_t x = folded;
    const uint16_t low = (uint16_t)(crc << 8);

    return (uint16_t)(low ^ (uint16_t)(x << 12) ^ (uint16_t)(x << 5) ^ x);
}

uint16_t crc16(const uint8_t *data, uint16_t n)
{
    uint16_t crc = CRC16_START;

    for (uint16_t i = 0u; i < n; i++) {
        crc = crc16_byte(crc, data[i]);
    }
    return crc;
}
