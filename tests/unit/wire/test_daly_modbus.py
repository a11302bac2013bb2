"""Frames of esphome-daly-bms: docs/pdus (24 cells; Blue Series) and
tests/esp32-ble-alarms-faker.yaml."""

import re

import pytest

from battlife.errors import InputError
from battlife.model import Frame
from battlife.wire import decode, protocol
from battlife.wire.modbus_messages import with_crc
from support import DATASETS

# Discharging: the state is 2, the power register 131 W.
BLUE = bytes.fromhex(
    "D203A0"
    "0CD10CD20CD30CD30CD30CD20CD30CD30CD30CD30CD30CD30CD30CD30CD30CD3"
    + "0000" * 16
    + "0035003500350035"
    + "0000" * 4
    + "020D751702310CD30CD1003500350002049A00100004003C0000000100010CD200020083"
    + "0000" * 6
    + "753000000037"
    + "0000" * 13
    + "5455"
)


def alarmed(flags, crc):
    """Return a frame of the alarms faker."""
    return bytes.fromhex(
        "D2037C0D6E0D690D590DD70D0B0D0B0D0C0D0B"
        + "0000" * 24
        + "003D00280028"
        + "0000" * 5
        + "010F753003E80DD70D0B003D003D000000FA0008000100000000000100010D4600CC0000"
        + flags
        + crc
    )


def only(data, **options):
    frames = [Frame(0.0, "line", "rx", data)]
    found = decode(protocol("daly_modbus", **options), frames)
    assert found.rejected == ()
    (reading,) = found.readings
    return reading


def test_a_real_discharge_of_eighty_registers():
    values = only(BLUE).values
    assert values["voltage_v"] == 52.5
    assert values["current_a"] == -2.5
    assert values["daly_state"] == "discharge"
    assert -values["voltage_v"] * values["current_a"] == pytest.approx(131, abs=0.5)
    assert values["soc"] == 0.561
    assert values["remaining_capacity_ah"] == 117.8
    assert values["cell_voltage_v"][:3] == (3.281, 3.282, 3.283)
    assert len(values["cell_voltage_v"]) == 16
    assert sum(values["cell_voltage_v"]) == pytest.approx(52.5, abs=0.05)
    assert values["temperature_degc"] == (13.0,) * 4
    assert values["daly_mosfet_degc"] == 15.0
    assert values["cycle_count"] == 60.0
    assert values["charge_enabled"] and values["discharge_enabled"]
    assert values["balancing"] is False
    assert values["fault_codes"] == ()


@pytest.mark.parametrize(
    ("flags", "crc", "faults", "critical"),
    [
        ("0000000000000000", "0EE1", (), False),
        ("0100000000000000", "CF2D", ("charge over-temperature level 1",), False),
        ("0001000000000000", "1E21", ("cell over-voltage level 1",), False),
        ("0000010000000000", "0F30", ("cell voltage difference level 1",), False),
        ("0000000100000000", "3321", ("charge over-current level 1",), False),
        ("0000000001000000", "0F1D", ("front-end fault",), True),
        ("0000000000010000", "5F21", ("charge MOSFET over-temperature",), False),
        ("0000080000000000", "0FA9", ("temperature difference level 2",), False),
        (
            "00000C0000000000",
            "0E2D",
            ("temperature difference level 1", "temperature difference level 2"),
            False,
        ),
    ],
)
def test_alarms_by_name(flags, crc, faults, critical):
    reading = only(alarmed(flags, crc))
    assert reading.values["fault_codes"] == faults
    assert [n.code for n in reading.notices] == ["critical_fault_code"] * critical
    assert len(reading.values["cell_voltage_v"]) == 8
    assert reading.values["temperature_degc"] == (21.0,)
    assert reading.values["soc"] == 1.0
    assert reading.values["voltage_v"] == 27.1


def test_the_capture_of_a_24_cell_pack():
    text = (DATASETS / "captures/daly/daly_bms_24cells.txt").read_text()
    lines = [line for line in text.splitlines() if line.startswith("0x")]
    assert len(lines) == 2
    data = [
        bytes(int(b, 16) for b in re.findall(r"0x([0-9A-F]{2})", line))
        for line in lines
    ]
    frames = [Frame(float(i), "line", "rx", d) for i, d in enumerate(data)]
    found = decode(protocol("daly_modbus"), frames)
    assert found.rejected == () and len(found.readings) == 2
    first, second = (r.values for r in found.readings)
    assert first["cell_voltage_v"] == tuple(
        v / 1000
        for v in [3292, 3291, *[3292] * 4, 3294, *[3292] * 7, 3294, *[3292] * 6]
        + [3294, 3292, 3292]
    )
    assert second["cell_voltage_v"][1] == 3.292
    for values in (first, second):
        assert values["voltage_v"] == 79.0
        assert values["current_a"] == 0.0
        assert values["soc"] == 0.333
        assert values["remaining_capacity_ah"] == 104.5
        assert values["temperature_degc"] == (16.0, 14.0, 16.0, 16.0)
        assert values["cycle_count"] == 0.0


def test_settings_and_versions():
    device = protocol("daly_modbus")
    settings = (0x041A).to_bytes(2, "big") + (0x0C80).to_bytes(2, "big") + bytes(78)
    answer = with_crc(bytes([0xD2, 3, len(settings)]) + settings)
    values = only(answer).values
    assert values == {
        "design_capacity_ah": 105.0,
        "daly_nominal_cell_voltage_v": 3.2,
    }
    texts = b"401012".ljust(32, b"\0") + b"BMS".ljust(32, b"\0")
    answer = with_crc(bytes([0xD2, 3, len(texts)]) + texts)
    assert only(answer).values == {
        "software_version": "401012",
        "hardware_version": "BMS",
    }
    assert device.requests({})[0].data.hex() == "d2030000003ed7b9"


def test_another_address_needs_its_requests():
    data = b"\x01" + BLUE[1:-2]
    frames = [Frame(0.0, "line", "rx", with_crc(data))]
    found = decode(protocol("daly_modbus", address=1), frames)
    assert found.readings == () and "no request" in found.rejected[0].error.message
    request = protocol("daly_modbus", address=1).requests({})[0].data
    assert request[0] == 1
    with pytest.raises(InputError):
        protocol("daly_modbus", address=0)


@pytest.mark.parametrize(("register", "value"), [(0x31, 33), (0x32, 9), (0x2F, 3)])
def test_what_no_pack_has_is_rejected(register, value):
    body = bytearray(BLUE[:-2])
    body[3 + 2 * register : 5 + 2 * register] = value.to_bytes(2, "big")
    frames = [Frame(0.0, "line", "rx", with_crc(bytes(body)))]
    found = decode(protocol("daly_modbus"), frames)
    assert found.readings == () and found.rejected[0].message == "status"
    assert found.rejected[0].error.hint
