"""Limits beyond the reference design: refused by the firmware, and before flashing.

The compiled cell bridge runs with records that its packing takes but its design does
not. Beside it stands firmware_bridges/protocol/calibration.py, which makes the records:
both must refuse the same ones, for the same reason.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cell_bridge import (
    CALIBRATION,
    DEFINITION,
    Host,
    calibrated,
    flashed,
    refusals,
    refusing_image,
    wire,
)

from battlife.model import Frame, Reading
from battlife.wire.bridge import BridgeDecoder

FIRMWARE = Path(__file__).parents[2] / "firmware_bridges"
DESIGN = DEFINITION["design"]
REFUSALS = {number: name for name, number in DEFINITION["refusal"].items()}
START_MS = 700

# One step beyond each bound, and the last value within it.
BEYOND: list[tuple[str, dict[str, Any]]] = [
    ("wiring", {"n_front_ends": 3}),
    ("wiring", {"cells_first": 13}),
    ("wiring", {"cells_first": 0}),
    ("wiring", {"n_front_ends": 2, "cells_second": 13}),
    ("wiring", {"cells_second": 1}),
    ("wiring", {"n_temperatures": 0}),
    ("wiring", {"n_temperatures": 5}),
    ("voltage", {"over_voltage_mv": DESIGN["over_voltage_max_mv"] + 1}),
    ("voltage", {"over_voltage_mv": 5000}),
    ("voltage", {"under_voltage_mv": DESIGN["under_voltage_min_mv"] - 1}),
    ("voltage", {"under_voltage_mv": 4200}),
    (
        "temperature",
        {"over_temperature_cdegc": DESIGN["over_temperature_max_cdegc"] + 1},
    ),
    (
        "temperature",
        {"under_temperature_cdegc": DESIGN["under_temperature_min_cdegc"] - 1},
    ),
    ("temperature", {"under_temperature_cdegc": 5500}),
    ("current", {"charge_max_ma": DESIGN["current_max_ma"] + 1}),
    ("current", {"discharge_max_ma": DESIGN["current_max_ma"] + 1}),
    ("current", {"charge_max_ma": 2**31 - 1}),
    ("current", {"discharge_max_ma": 0}),
    ("current", {"charge_max_ma": -(2**31)}),
    ("sensor", {"current_ua": 0}),
    ("sensor", {"current_ua": 100_001}),
    ("sensor", {"current_zero": -1}),
    ("sensor", {"current_zero": 16_381}),
    ("sensor", {"current_ua": 6_000}),  # shows 49 A
    ("sensor", {"current_zero": 13_000}),  # shows 42 A of charge
    ("sensor", {"current_zero": 3_000, "current_ua": 12_500}),  # 37 A of discharge
    ("sensor", {"current_zero": 3_000, "current_ua": -12_500}),
    ("correction", {"cell_gain_ppm": [0] * 23 + [DESIGN["cell_gain_max_ppm"] + 1]}),
    ("correction", {"cell_gain_ppm": [-DESIGN["cell_gain_max_ppm"] - 1]}),
    ("correction", {"cell_gain_ppm": [-(2**15)]}),
    (
        "correction",
        {
            "temperature_offset_cdegc": [0] * 3
            + [-DESIGN["temperature_offset_max_cdegc"] - 1]
        },
    ),
    ("correction", {"temperature_offset_cdegc": [-(2**15)]}),
]
WITHIN: list[dict[str, Any]] = [
    {},
    {
        "n_front_ends": 2,
        "cells_second": 12,
        "over_voltage_mv": DESIGN["over_voltage_max_mv"],
        "under_voltage_mv": DESIGN["under_voltage_min_mv"],
        "over_temperature_cdegc": DESIGN["over_temperature_max_cdegc"],
        "under_temperature_cdegc": DESIGN["under_temperature_min_cdegc"],
        "charge_max_ma": DESIGN["current_max_ma"],
        "discharge_max_ma": DESIGN["current_max_ma"],
        "cell_gain_ppm": [DESIGN["cell_gain_max_ppm"], -DESIGN["cell_gain_max_ppm"]],
        "temperature_offset_cdegc": [
            DESIGN["temperature_offset_max_cdegc"],
            -DESIGN["temperature_offset_max_cdegc"],
        ],
    },
    {"current_ua": -6_800},  # 55.7 A either way
    {"current_zero": 10_000},  # a sensor around 2.5 V
]


@pytest.fixture
def boot(
    built: Path, lockstep: Callable[..., Any], tmp_path: Path
) -> Callable[..., Host]:
    """Power a bridge up with a record; one front end is there."""

    def start(board: str = "m328p", **changes: Any) -> Host:
        elf = built / board / "cell_bridge.elf"
        rig = lockstep(flashed(elf, tmp_path, calibrated(**changes)), board)
        return Host(rig)

    return start


@pytest.mark.parametrize(("why", "changes"), BEYOND)
def test_the_firmware_refuses_and_stays_open(
    boot: Callable[..., Host], why: str, changes: dict[str, Any]
) -> None:
    host = boot(**changes)
    host.run_ms(START_MS)
    assert REFUSALS[host.ask("ask_identity").fields["refusal"]] == why
    found = host.ask("ask_measurement")
    # Without a scale for its sensor it knows no current either.
    assert found.state == "tripped"
    assert found.faults("live") == {"calibration", "current_sensor"}
    assert host.ask("ask_clear").outcome == "still_faulty"
    assert host.ask("ask_arm").outcome == "not_calibrated"
    host.run_ms(50)
    assert host.rig.command("contactor") == "coil=0 contact=0"
    assert host.rig.coil_log() == []
    assert next(iter(refusals({**CALIBRATION, **changes}))) == why


@pytest.mark.parametrize("changes", WITHIN)
def test_the_last_values_within_arm(
    boot: Callable[..., Host], changes: dict[str, Any]
) -> None:
    assert refusals({**CALIBRATION, **changes}) == {}
    host = boot(**changes)
    host.rig.command(f"afe chips {changes.get('n_front_ends', 1)}")
    if "current_zero" in changes:
        host.rig.command("analog 0 2500")
    host.close_contactor()
    assert REFUSALS[host.ask("ask_identity").fields["refusal"]] == "none"


def test_the_other_board_refuses_as_well(boot: Callable[..., Host]) -> None:
    host = boot("m2560", over_voltage_mv=5000)
    host.run_ms(START_MS)
    assert REFUSALS[host.ask("ask_identity").fields["refusal"]] == "voltage"
    assert host.ask("ask_arm").outcome == "not_calibrated"


def test_the_driver_says_what_is_refused(boot: Callable[..., Host]) -> None:
    host = boot(charge_max_ma=120_000)
    host.run_ms(START_MS)
    host.rig.read()
    taken = []
    for message in ("ask_identity", "ask_arm"):
        host.unread = b""
        host.rig.write(wire(message))
        host.rig.run_ms(30)
        taken.append(host.rig.read())
    decoder = BridgeDecoder()
    heard = [
        item
        for at, data in enumerate(taken)
        for item in decoder.feed(Frame(float(at), "rx", "serial", data))
    ]
    (identity, refused) = heard
    assert isinstance(identity, Reading)
    assert identity.values["bridge_refusal"] == "current"
    (notice,) = identity.notices
    assert notice.code == "not_calibrated"
    assert "50000 mA" in notice.message
    assert not isinstance(refused, Reading)
    assert "not calibrated" in str(refused.error)


@pytest.mark.parametrize(("why", "changes"), BEYOND)
def test_no_image_is_made_of_them(why: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        refusing_image({**CALIBRATION, **changes})


def test_the_program_refuses_with_the_reason(tmp_path: Path) -> None:
    script = FIRMWARE / "protocol" / "calibration.py"
    example = (FIRMWARE / "protocol" / "calibration_example.toml").read_text()
    source, target = tmp_path / "in.toml", tmp_path / "out.hex"

    def run(text: str) -> subprocess.CompletedProcess[str]:
        source.write_text(text)
        command = [sys.executable, str(script), str(source), str(target)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run(example.replace("over_voltage_mv = 4200", "over_voltage_mv = 4300"))
    assert done.returncode == 1
    assert "over_voltage_mv = 4300" in done.stderr
    assert not target.exists()
    assert run(example).returncode == 0
    assert target.read_text().endswith(":00000001FF\n")
    assert tomllib.loads(example)["over_voltage_mv"] <= DESIGN["over_voltage_max_mv"]


def test_the_readme_states_the_same_design() -> None:
    first = (FIRMWARE / "README.md").read_text().splitlines()[0]
    cells = DEFINITION["capacity"]["cells"]
    pack_v = cells * DESIGN["over_voltage_max_mv"] / 1000
    for stated in (
        f"{cells} cells in series",
        f"{pack_v:.1f} V",
        f"{DESIGN['under_voltage_min_mv'] / 1000:g} to "
        f"{DESIGN['over_voltage_max_mv'] / 1000:g} V per cell",
        f"{DESIGN['current_max_ma'] / 1000:g} A either way",
        f"−{-DESIGN['under_temperature_min_cdegc'] / 100:g} to "
        f"{DESIGN['over_temperature_max_cdegc'] / 100:g} °C",
    ):
        assert stated in first
    assert re.match(r"\*\*Maximum of the reference design: ", first)
