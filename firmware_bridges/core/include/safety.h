/* Whether the contactor may be closed. Pure: it is told what was measured and what the
 * host said, with the time in ms, and says open or closed.
 *
 *   starting --SAFETY_SCANS valid scans--> ready --arm--> closed --disarm--> ready
 *      ^                                     |              |
 *      |                                     +----fault-----+----> tripped
 *      +---------------------------clear-----------------------------+
 *
 * The contactor is closed in the state `closed` and in no other. Until it is armed, any
 * scan that is not valid leads back to `starting`. A fault is latched when it has lasted
 * as long as its filter says; `clear` lets a latched fault go only if it is over. All
 * times are differences of a clock that may wrap. */
#ifndef SAFETY_H
#define SAFETY_H

#include <stdbool.h>
#include <stdint.h>

#include "bl_protocol.h"

/* Valid scans in a row before arming: 0.5 s shows that sensors and wiring hold. */
#define SAFETY_SCANS 50u
/* Scans in a row with any fault of a kind that latch what they show. Two keep one disturbed scan from opening the
 * contactor and cost 10 ms; temperatures move slowly and come from an analog input that
 * switching loads disturb. */
#define SAFETY_FILTER 2u
#define SAFETY_FILTER_SLOW 5u
/* Without a finished scan for this long the values are stale. */
#define SAFETY_STALE_MS 40u
/* A contactor has this long to follow: data sheets give at most 25 to 75 ms. */
#define SAFETY_FOLLOW_MS 150u

typedef struct {
    uint16_t over_voltage_mv;
    uint16_t under_voltage_mv;
    int16_t over_temperature_cdegc;
    int16_t under_temperature_cdegc;
    int32_t charge_max_ma;
    int32_t discharge_max_ma; /* positive */
} safety_limits_t;

/* One finished scan. */
typedef struct {
    const uint16_t *cell_mv;
    const int16_t *temperature_cdegc; /* BL_MISSING_I16: sensor open or shorted */
    int32_t current_ma;               /* positive charges; BL_MISSING_I32: no sensor */
    uint8_t n_cells;
    uint8_t n_temperatures;
    bool pec_ok;    /* every register of every front end had a right PEC */
    bool converted; /* every front end cleared and converted when told to */
} safety_scan_t;

typedef struct {
    safety_limits_t limits;
    uint16_t live;
    uint16_t latched;
    uint32_t scanned_ms;
    uint32_t heard_ms;
    uint32_t commanded_ms; /* of the last change of the contactor's command */
    uint8_t state;
    uint8_t valid_scans; /* in a row, as many as arming asks for */
    uint8_t heartbeat; /* number of the last one */
    bool host_alive;
    uint8_t fast_scans; /* in a row with a fault of cells, current or front end */
    uint8_t slow_scans; /* in a row with a fault of temperatures */
} safety_t;

/* After a reset: open. A brown-out or watchdog reset is latched; without a calibration
 * nothing is ever armed. */
void safety_init(safety_t *safety, const safety_limits_t *limits, bool calibrated,
                 bool bad_reset, uint32_t now_ms);

void safety_scan(safety_t *safety, const safety_scan_t *scan, uint32_t now_ms);

/* A heartbeat counts if its number follows the one before: a stuck transmitter or a
 * repeated line does not keep the contactor closed. */
void safety_heartbeat(safety_t *safety, uint16_t number, uint32_t now_ms);

/* Call often: what only time or the auxiliary contact (true: closed) can tell. */
void safety_tick(safety_t *safety, bool feedback, uint32_t now_ms);

/* Requests of the host; they return one of BL_OUTCOME_*. */
uint8_t safety_arm(safety_t *safety, uint32_t now_ms);
uint8_t safety_disarm(safety_t *safety, uint32_t now_ms);
uint8_t safety_clear(safety_t *safety, uint32_t now_ms);

/* The command to the contactor. */
bool safety_closed(const safety_t *safety);

#endif
