#include "safety.h"

/* What a scan shows. */
#define SLOW_FAULTS                                                                      \
    (BL_FAULT_OVER_TEMPERATURE | BL_FAULT_UNDER_TEMPERATURE | BL_FAULT_TEMPERATURE_SENSOR)
#define FAST_FAULTS                                                                      \
    (BL_FAULT_OVER_VOLTAGE | BL_FAULT_UNDER_VOLTAGE | BL_FAULT_OVER_CURRENT              \
     | BL_FAULT_FRONT_END_PEC | BL_FAULT_FRONT_END_STUCK | BL_FAULT_CURRENT_SENSOR)

/* Once expired it stays so, however long: the time does not come round again. */
static bool expired(uint32_t *since_ms, uint32_t span_ms, uint32_t now_ms)
{
    const bool over = (uint32_t)(now_ms - *since_ms) > span_ms;

    if (over) {
        *since_ms = now_ms - span_ms - 1u;
    }
    return over;
}

static void enter(safety_t *safety, uint8_t state, uint32_t now_ms)
{
    const bool was_closed = safety_closed(safety);

    safety->state = state;
    if (safety_closed(safety) != was_closed) {
        safety->commanded_ms = now_ms;
    }
}

/* Open, and able to be armed or not yet. */
static void rest(safety_t *safety, uint32_t now_ms)
{
    enter(safety, (safety->valid_scans >= SAFETY_SCANS) ? BL_STATE_READY
                                                        : BL_STATE_STARTING,
          now_ms);
}

/* Say that faults are there or are over; those that are there are latched at once. */
static void mark(safety_t *safety, uint16_t faults, bool there, uint32_t now_ms)
{
    if (there) {
        safety->live |= faults;
        safety->latched |= faults;
        if (safety->state != BL_STATE_TRIPPED) {
            enter(safety, BL_STATE_TRIPPED, now_ms);
        }
    } else {
        safety->live &= (uint16_t)~faults;
    }
}

static bool is_host_silent(safety_t *safety, uint32_t now_ms)
{
    const bool over = expired(&safety->heard_ms, BL_HOST_SILENT_MS, now_ms);

    return over || !safety->host_alive;
}

static uint16_t cell_faults(const safety_t *safety, const safety_scan_t *scan)
{
    uint16_t found = 0u;

    for (uint8_t i = 0u; i < scan->n_cells; i++) {
        if (scan->cell_mv[i] > safety->limits.over_voltage_mv) {
            found |= BL_FAULT_OVER_VOLTAGE;
        }
        if (scan->cell_mv[i] < safety->limits.under_voltage_mv) {
            found |= BL_FAULT_UNDER_VOLTAGE;
        }
    }
    return found;
}

static uint16_t temperature_faults(const safety_t *safety, const safety_scan_t *scan)
{
    uint16_t found = 0u;

    for (uint8_t i = 0u; i < scan->n_temperatures; i++) {
        const int16_t cdegc = scan->temperature_cdegc[i];

        if (cdegc == BL_MISSING_I16) {
            found |= BL_FAULT_TEMPERATURE_SENSOR;
        } else if (cdegc > safety->limits.over_temperature_cdegc) {
            found |= BL_FAULT_OVER_TEMPERATURE;
        } else if (cdegc < safety->limits.under_temperature_cdegc) {
            found |= BL_FAULT_UNDER_TEMPERATURE;
        } else {
            /* within the limits */
        }
    }
    return found;
}

static uint16_t scan_faults(const safety_t *safety, const safety_scan_t *scan)
{
    uint16_t found = temperature_faults(safety, scan);

    /* Values behind a wrong PEC or an old conversion are not judged: they are none. */
    if (!scan->pec_ok) {
        found |= BL_FAULT_FRONT_END_PEC;
    } else if ((!scan->converted) || (scan->n_cells == 0u)) {
        found |= BL_FAULT_FRONT_END_STUCK;
    } else {
        found |= cell_faults(safety, scan);
    }
    if (scan->current_ma == BL_MISSING_I32) {
        found |= BL_FAULT_CURRENT_SENSOR;
    } else if ((scan->current_ma > safety->limits.charge_max_ma)
               || (scan->current_ma < -safety->limits.discharge_max_ma)) {
        found |= BL_FAULT_OVER_CURRENT;
    } else {
        /* within the limits */
    }
    return found;
}

/* Count scans in a row, as far as a filter looks. */
static uint8_t in_row(uint8_t scans, bool another, uint8_t most)
{
    uint8_t counted = 0u;

    if (another) {
        counted = (scans < most) ? (uint8_t)(scans + 1u) : most;
    }
    return counted;
}

/* Of what a scan shows, what has lasted. Scans are counted by kind and not by fault, so
 * that faults which take turns add up: a front end that shows over-voltage, then a
 * damaged reply, then under-voltage has shown nothing that is right. */
static uint16_t lasting_faults(safety_t *safety, uint16_t found)
{
    uint16_t lasting = 0u;

    safety->fast_scans =
        in_row(safety->fast_scans, (found & FAST_FAULTS) != 0u, SAFETY_FILTER);
    safety->slow_scans =
        in_row(safety->slow_scans, (found & SLOW_FAULTS) != 0u, SAFETY_FILTER_SLOW);
    if (safety->fast_scans >= SAFETY_FILTER) {
        lasting |= (uint16_t)(found & FAST_FAULTS);
    }
    if (safety->slow_scans >= SAFETY_FILTER_SLOW) {
        lasting |= (uint16_t)(found & SLOW_FAULTS);
    }
    return lasting;
}

void safety_init(safety_t *safety, const safety_limits_t *limits, bool calibrated,
                 bool bad_reset, uint32_t now_ms)
{
    safety->limits = *limits;
    safety->live = 0u;
    safety->latched = 0u;
    safety->scanned_ms = now_ms;
    safety->heard_ms = now_ms;
    safety->commanded_ms = now_ms;
    safety->state = BL_STATE_STARTING;
    safety->valid_scans = 0u;
    safety->heartbeat = 0u;
    safety->host_alive = false;
    safety->fast_scans = 0u;
    safety->slow_scans = 0u;
    if (bad_reset) {
        mark(safety, BL_FAULT_RESET, true, now_ms);
        mark(safety, BL_FAULT_RESET, false, now_ms); /* over, and latched */
    }
    mark(safety, BL_FAULT_CALIBRATION, !calibrated, now_ms);
}

void safety_scan(safety_t *safety, const safety_scan_t *scan, uint32_t now_ms)
{
    const uint16_t found = scan_faults(safety, scan);
    const uint16_t lasting = lasting_faults(safety, found);

    safety->scanned_ms = now_ms;
    safety->valid_scans = in_row(safety->valid_scans, found == 0u, SAFETY_SCANS);
    mark(safety, FAST_FAULTS | SLOW_FAULTS, false, now_ms);
    mark(safety, lasting, lasting != 0u, now_ms);
    if ((safety->state == BL_STATE_STARTING) || (safety->state == BL_STATE_READY)) {
        rest(safety, now_ms);
    }
}

void safety_heartbeat(safety_t *safety, uint16_t number, uint32_t now_ms)
{
    const uint8_t expected =
        (uint8_t)((uint8_t)(safety->heartbeat + 1u) % BL_HEARTBEATS);

    if (number == expected) {
        safety->host_alive = true;
        safety->heard_ms = now_ms;
    }
    if (number < BL_HEARTBEATS) {
        safety->heartbeat = (uint8_t)number;
    }
}

void safety_tick(safety_t *safety, bool feedback, uint32_t now_ms)
{
    const bool closed = safety_closed(safety);
    const bool follows = !expired(&safety->commanded_ms, SAFETY_FOLLOW_MS, now_ms);
    const bool silent = is_host_silent(safety, now_ms);

    if (silent) {
        safety->host_alive = false;
    }
    mark(safety, BL_FAULT_HOST_SILENT, closed && silent, now_ms);
    mark(safety, BL_FAULT_STALE_DATA,
         expired(&safety->scanned_ms, SAFETY_STALE_MS, now_ms), now_ms);
    mark(safety, BL_FAULT_CONTACTOR_WELDED, (!closed) && feedback && (!follows), now_ms);
    mark(safety, BL_FAULT_CONTACTOR_NOT_CLOSING, closed && (!feedback) && (!follows),
         now_ms);
}

uint8_t safety_arm(safety_t *safety, uint32_t now_ms)
{
    uint8_t outcome = BL_OUTCOME_DONE;

    if (safety->state == BL_STATE_TRIPPED) {
        outcome = BL_OUTCOME_TRIPPED;
    } else if (safety->state == BL_STATE_STARTING) {
        outcome = BL_OUTCOME_NOT_READY;
    } else if (is_host_silent(safety, now_ms)) {
        outcome = BL_OUTCOME_HOST_SILENT;
    } else {
        enter(safety, BL_STATE_CLOSED, now_ms);
    }
    return outcome;
}

uint8_t safety_disarm(safety_t *safety, uint32_t now_ms)
{
    if (safety->state == BL_STATE_CLOSED) {
        rest(safety, now_ms);
    }
    return BL_OUTCOME_DONE;
}

uint8_t safety_clear(safety_t *safety, uint32_t now_ms)
{
    uint8_t outcome = BL_OUTCOME_DONE;
    /* A fault on its way through the filter is not over either. */
    const bool over = (safety->live == 0u) && (safety->fast_scans == 0u)
                      && (safety->slow_scans == 0u);

    if (safety->state == BL_STATE_CLOSED) {
        outcome = BL_OUTCOME_CLOSED;
    } else if (!over) {
        outcome = BL_OUTCOME_STILL_FAULTY;
    } else {
        safety->latched = 0u;
        safety->valid_scans = 0u;
        rest(safety, now_ms);
    }
    return outcome;
}

bool safety_closed(const safety_t *safety)
{
    return safety->state == BL_STATE_CLOSED;
}
