/* LTC6811 class front ends (also LTC6804, ADBMS6811), up to BL_FRONT_ENDS in a daisy
 * chain; the one next to the board comes first. Analog Devices, data sheet LTC6811-1/-2,
 * rev. B: commands table 38, registers table 40ff, PEC page 58. */
#ifndef LTC68XX_H
#define LTC68XX_H

#include <stdbool.h>
#include <stdint.h>

#define LTC_CELLS 12u
#define LTC_GROUPS 4u            /* register groups of three cells */
#define LTC_CLEARED 0xFFFFu      /* what a cleared register holds */
#define LTC_CONVERSION_US 3000u  /* 12 cells, 7 kHz: 2.335 ms, and 20 % for its clock */
#define LTC_REFERENCE_US 5000u   /* t_REFUP 4.4 ms at most */

uint16_t ltc_pec15(const uint8_t *data, uint8_t n);

/* Wake the chain and keep its reference on, balancing off. A reset chip forgets it, so
 * this goes in front of every conversion. Takes 0.5 ms for each chip. */
void ltc_wake(uint8_t n_chips);

/* Clear the cell registers: what is read then was converted later, or is LTC_CLEARED. */
void ltc_clear(void);
void ltc_convert(void);

/* Read group 0 to 3 of every chip into codes[chip * LTC_CELLS + cell], in 0.1 mV.
 * False if a PEC was wrong; codes of that chip are then left alone. */
bool ltc_read_group(uint8_t group, uint8_t n_chips, uint16_t *codes);

#endif
