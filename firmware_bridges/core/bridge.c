#include "bridge.h"

#define POWER_ON 0x01u
#define BROWN_OUT 0x04u
#define WATCHDOG 0x08u
#define ANY_CAUSE 0x0Fu
#define MARKED 0x10u

/* A supply that rises slowly sets brown-out together with power-on: that is no fault.
 * A bootloader that hides the cause leaves none: then the mark says whether the contactor
 * was closed, and that is taken for the worst. */
static bool is_bad_reset(uint8_t cause)
{
    return ((cause & WATCHDOG) != 0u)
           || (((cause & BROWN_OUT) != 0u) && ((cause & POWER_ON) == 0u))
           || (((cause & ANY_CAUSE) == 0u) && ((cause & MARKED) != 0u));
}

void bridge_init(bridge_t *bridge, const uint8_t *record, uint8_t reset_cause,
                 uint32_t now_ms)
{
    bridge->calibrated = calibration_read(record, &bridge->calibration);
    safety_init(&bridge->safety, &bridge->calibration.limits, bridge->calibrated,
                is_bad_reset(reset_cause), now_ms);
    for (uint8_t i = 0u; i < BL_CELLS; i++) {
        bridge->cell_100uv[i] = BL_MISSING_U16;
    }
    for (uint8_t i = 0u; i < BL_TEMPERATURES; i++) {
        bridge->temperature_cdegc[i] = BL_MISSING_I16;
    }
    bridge->current_ma = BL_MISSING_I32;
    bridge->scanned_ms = now_ms;
    bridge->scan = 0u;
    bridge->sequence = 0u;
    bridge->lost_lines = 0u;
    bridge->reset_cause = reset_cause;
    bridge->feedback = false;
}

void bridge_take_scan(bridge_t *bridge, const bridge_scan_t *scan, uint32_t now_ms)
{
    const calibration_t *calibration = &bridge->calibration;
    const uint8_t n_cells = calibration_cells(calibration);
    uint16_t cell_mv[BL_CELLS];
    safety_scan_t judged;

    for (uint8_t i = 0u; i < n_cells; i++) {
        const bool known = scan->pec_ok && scan->converted;

        bridge->cell_100uv[i] =
            known ? calibration_cell(calibration, i, scan->code_100uv[i]) : BL_MISSING_U16;
        cell_mv[i] = (uint16_t)(bridge->cell_100uv[i] / 10u);
    }
    for (uint8_t i = 0u; i < calibration->n_temperatures; i++) {
        bridge->temperature_cdegc[i] =
            calibration_temperature(calibration, i, scan->temperature_cdegc[i]);
    }
    bridge->current_ma = calibration_current(calibration, scan->current_sum);
    bridge->scanned_ms = now_ms;
    bridge->scan++;

    judged.cell_mv = cell_mv;
    judged.temperature_cdegc = bridge->temperature_cdegc;
    judged.current_ma = bridge->current_ma;
    judged.n_cells = n_cells;
    judged.n_temperatures = calibration->n_temperatures;
    judged.pec_ok = scan->pec_ok;
    judged.converted = scan->converted;
    safety_scan(&bridge->safety, &judged, now_ms);
}

void bridge_lost_lines(bridge_t *bridge, uint8_t n)
{
    bridge->lost_lines = (uint16_t)(bridge->lost_lines + n);
}

bool bridge_tick(bridge_t *bridge, bool feedback, uint32_t now_ms)
{
    bridge->feedback = feedback;
    safety_tick(&bridge->safety, feedback, now_ms);
    return safety_closed(&bridge->safety);
}

bool bridge_is_marked(const bridge_t *bridge)
{
    return safety_closed(&bridge->safety)
           || ((bridge->safety.latched & BL_FAULT_RESET) != 0u);
}

static void put_identity(const bridge_t *bridge, frame_t *answer)
{
    const safety_limits_t *limits = &bridge->calibration.limits;
    uint8_t *at = answer->payload;

    answer->type = BL_IDENTITY;
    answer->length = BL_IDENTITY_SIZE;
    at[BL_IDENTITY_AT_PROTOCOL_VERSION] = BL_VERSION;
    at[BL_IDENTITY_AT_FIRMWARE_MAJOR] = BRIDGE_MAJOR;
    at[BL_IDENTITY_AT_FIRMWARE_MINOR] = BRIDGE_MINOR;
    at[BL_IDENTITY_AT_RESET_CAUSE] = bridge->reset_cause;
    at[BL_IDENTITY_AT_N_CELLS] = calibration_cells(&bridge->calibration);
    at[BL_IDENTITY_AT_N_TEMPERATURES] = bridge->calibration.n_temperatures;
    frame_put_u16(&at[BL_IDENTITY_AT_CALIBRATION_CRC], bridge->calibration.crc);
    frame_put_u16(&at[BL_IDENTITY_AT_OVER_VOLTAGE_MV], limits->over_voltage_mv);
    frame_put_u16(&at[BL_IDENTITY_AT_UNDER_VOLTAGE_MV], limits->under_voltage_mv);
    frame_put_u16(&at[BL_IDENTITY_AT_OVER_TEMPERATURE_CDEGC],
                  (uint16_t)limits->over_temperature_cdegc);
    frame_put_u16(&at[BL_IDENTITY_AT_UNDER_TEMPERATURE_CDEGC],
                  (uint16_t)limits->under_temperature_cdegc);
    frame_put_u32(&at[BL_IDENTITY_AT_CHARGE_MAX_MA], (uint32_t)limits->charge_max_ma);
    frame_put_u32(&at[BL_IDENTITY_AT_DISCHARGE_MAX_MA],
                  (uint32_t)limits->discharge_max_ma);
    at[BL_IDENTITY_AT_REFUSAL] = bridge->calibration.refusal;
}

static uint8_t flags_of(const bridge_t *bridge)
{
    uint8_t flags = 0u;

    if (bridge->feedback) {
        flags |= BL_FLAG_CONTACTOR_CLOSED;
    }
    if (safety_closed(&bridge->safety)) {
        flags |= BL_FLAG_COMMANDED;
    }
    if (bridge->calibrated) {
        flags |= BL_FLAG_CALIBRATED;
    }
    if (bridge->safety.host_alive) {
        flags |= BL_FLAG_HOST_ALIVE;
    }
    return flags;
}

static void put_measurement(const bridge_t *bridge, frame_t *answer)
{
    const uint8_t n_cells = calibration_cells(&bridge->calibration);
    const uint8_t n_temperatures = bridge->calibration.n_temperatures;
    uint8_t *at = answer->payload;
    uint8_t end = BL_MEASUREMENT_SIZE;

    answer->type = BL_MEASUREMENT;
    answer->time_ms = bridge->scanned_ms;
    at[BL_MEASUREMENT_AT_STATE] = bridge->safety.state;
    at[BL_MEASUREMENT_AT_FLAGS] = flags_of(bridge);
    frame_put_u16(&at[BL_MEASUREMENT_AT_LIVE], bridge->safety.live);
    frame_put_u16(&at[BL_MEASUREMENT_AT_LATCHED], bridge->safety.latched);
    frame_put_u16(&at[BL_MEASUREMENT_AT_LOST_LINES], bridge->lost_lines);
    frame_put_u16(&at[BL_MEASUREMENT_AT_SCAN], bridge->scan);
    frame_put_u32(&at[BL_MEASUREMENT_AT_CURRENT_MA], (uint32_t)bridge->current_ma);
    at[BL_MEASUREMENT_AT_N_TEMPERATURES] = n_temperatures;
    at[BL_MEASUREMENT_AT_N_CELLS] = n_cells;
    for (uint8_t i = 0u; i < n_temperatures; i++) {
        frame_put_u16(&at[end], (uint16_t)bridge->temperature_cdegc[i]);
        end = (uint8_t)(end + 2u);
    }
    for (uint8_t i = 0u; i < n_cells; i++) {
        frame_put_u16(&at[end], bridge->cell_100uv[i]);
        end = (uint8_t)(end + 2u);
    }
    answer->length = end;
}

static void put_outcome(const bridge_t *bridge, frame_t *answer, uint8_t of,
                        uint8_t outcome)
{
    uint8_t *at = answer->payload;

    answer->type = BL_OUTCOME;
    answer->length = BL_OUTCOME_SIZE;
    at[BL_OUTCOME_AT_OF] = of;
    at[BL_OUTCOME_AT_OUTCOME] = outcome;
    at[BL_OUTCOME_AT_STATE] = bridge->safety.state;
    frame_put_u16(&at[BL_OUTCOME_AT_LIVE], bridge->safety.live);
    frame_put_u16(&at[BL_OUTCOME_AT_LATCHED], bridge->safety.latched);
}

/* The host speaks this very protocol. */
static bool is_ours(const frame_t *request)
{
    return (request->version == BL_VERSION) && (request->length == BL_ASK_IDENTITY_SIZE)
           && (frame_get_u32(request->payload) == BL_HASH);
}

bool bridge_answer(bridge_t *bridge, const frame_t *request, frame_t *answer,
                   uint32_t now_ms)
{
    safety_t *safety = &bridge->safety;
    bool answered = true;

    answer->version = BL_VERSION;
    answer->time_ms = now_ms;
    if (!is_ours(request)) {
        /* Answers that came back on a shared line are not answered. */
        answered = request->type < BL_IDENTITY;
        put_identity(bridge, answer);
    } else {
        switch (request->type) {
        case BL_ASK_IDENTITY:
            put_identity(bridge, answer);
            break;
        case BL_ASK_MEASUREMENT:
            put_measurement(bridge, answer);
            break;
        case BL_HEARTBEAT:
            safety_heartbeat(safety, request->sequence, now_ms);
            answered = false;
            break;
        case BL_ASK_ARM:
            put_outcome(bridge, answer, BL_ASK_ARM,
                        bridge->calibrated ? safety_arm(safety, now_ms)
                                           : BL_OUTCOME_NOT_CALIBRATED);
            break;
        case BL_ASK_DISARM:
            put_outcome(bridge, answer, BL_ASK_DISARM, safety_disarm(safety, now_ms));
            break;
        case BL_ASK_CLEAR:
            put_outcome(bridge, answer, BL_ASK_CLEAR, safety_clear(safety, now_ms));
            break;
        default:
            answered = false;
            break;
        }
    }
    if (answered) {
        frame_put_u32(answer->payload, BL_HASH);
        answer->sequence = bridge->sequence;
        bridge->sequence++;
    }
    return answered;
}
