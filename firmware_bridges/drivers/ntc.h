/* Temperature of an NTC of 10 kohm, B25/85 = 3977 K (Vishay NTCLE100E3103, data sheet
 * 29049), from the converter's supply over 10 kohm to the input, NTC to ground. */
#ifndef NTC_H
#define NTC_H

#include <stdint.h>

/* Codes beyond these are no temperature: below -30 degC the wire is open, above 95 degC
 * it is shorted, or the cell is as hot as that, which opens the contactor as well. */
#define NTC_OPEN 3904u
#define NTC_SHORT 301u

/* Temperature in 0.01 degC of a 12-bit code; BL_MISSING_I16 if open or shorted. */
int16_t ntc_cdegc(uint16_t code);

#endif
