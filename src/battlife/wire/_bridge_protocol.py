"""Constants of the cell bridge's protocol.

Made of bridge_protocol.toml by firmware_bridges/protocol/generate.py; not to
be edited.
"""

from typing import Final

VERSION: Final = 1
HASH: Final = 0x110A512C
HEARTBEATS: Final = 16
HEARTBEAT_S: Final = 0.2
HOST_SILENT_S: Final = 1.0
MAX_CELLS: Final = 24
MAX_TEMPERATURES: Final = 4
DESIGN_OVER_VOLTAGE_MAX_MV: Final = 4200
DESIGN_UNDER_VOLTAGE_MIN_MV: Final = 1500
DESIGN_OVER_TEMPERATURE_MAX_CDEGC: Final = 6000
DESIGN_UNDER_TEMPERATURE_MIN_CDEGC: Final = -2000
DESIGN_CURRENT_MAX_MA: Final = 50000
DESIGN_SENSOR_MARGIN_PERCENT: Final = 10
DESIGN_CELL_GAIN_MAX_PPM: Final = 5000
DESIGN_TEMPERATURE_OFFSET_MAX_CDEGC: Final = 300
MISSING_U16: Final = 65535
MISSING_I16: Final = -32768
MISSING_I32: Final = -2147483648

STATES: Final = (
    "starting",
    "ready",
    "closed",
    "tripped",
)
OUTCOMES: Final = (
    "done",
    "not_ready",
    "tripped",
    "host_silent",
    "still_faulty",
    "closed",
    "not_calibrated",
)
REFUSALS: Final = (
    "none",
    "no_record",
    "wiring",
    "voltage",
    "temperature",
    "current",
    "sensor",
    "correction",
)
FAULTS: Final = (
    "over_voltage",
    "under_voltage",
    "over_temperature",
    "under_temperature",
    "over_current",
    "front_end_pec",
    "front_end_stuck",
    "temperature_sensor",
    "current_sensor",
    "stale_data",
    "host_silent",
    "reset",
    "contactor_welded",
    "contactor_not_closing",
    "calibration",
)
FLAGS: Final = (
    "contactor_closed",
    "commanded",
    "calibrated",
    "host_alive",
)

ASK_IDENTITY: Final = 0x01
ASK_MEASUREMENT: Final = 0x02
HEARTBEAT: Final = 0x03
ASK_ARM: Final = 0x10
ASK_DISARM: Final = 0x11
ASK_CLEAR: Final = 0x12
IDENTITY: Final = 0x81
MEASUREMENT: Final = 0x82
OUTCOME: Final = 0x83

IDENTITY_LAYOUT: Final = "<IBBBBBBHHHhhiiB"
IDENTITY_FIELDS: Final = (
    "hash",
    "protocol_version",
    "firmware_major",
    "firmware_minor",
    "reset_cause",
    "n_cells",
    "n_temperatures",
    "calibration_crc",
    "over_voltage_mv",
    "under_voltage_mv",
    "over_temperature_cdegc",
    "under_temperature_cdegc",
    "charge_max_ma",
    "discharge_max_ma",
    "refusal",
)
MEASUREMENT_LAYOUT: Final = "<IBBHHHHiBB"
MEASUREMENT_FIELDS: Final = (
    "hash",
    "state",
    "flags",
    "live",
    "latched",
    "lost_lines",
    "scan",
    "current_ma",
    "n_temperatures",
    "n_cells",
)
OUTCOME_LAYOUT: Final = "<IBBBHH"
OUTCOME_FIELDS: Final = (
    "hash",
    "of",
    "outcome",
    "state",
    "live",
    "latched",
)
