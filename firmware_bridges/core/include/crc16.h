/* CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, not reflected, no final xor;
 * of "123456789" it is 0x29B1. Python: binascii.crc_hqx(data, 0xFFFF). */
#ifndef CRC16_H
#define CRC16_H

#include <stdint.h>

#define CRC16_START 0xFFFFu

uint16_t crc16(const uint8_t *data, uint16_t n);

#endif
