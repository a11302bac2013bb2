"""A rig.toml is taken whole or refused with the reason."""

from pathlib import Path

import pytest

from battlife.errors import InputError
from battlife.recording.rig import Limits, Rig, RigDevice, read_rig, unit_ids

GOOD = """
[rig]
name = "bench 3"
calibration = "cal-2026-04"

[[device]]
name = "pack"
target = "leaf@slcan:/dev/ttyACM0?bitrate=500000"
period_s = 1.0

[limits]
cell_voltage_max_v = 4.2
n_cells = 96

[on_alarm]
run = ["relay", "off"]
"""


def read(tmp_path: Path, text: str) -> Rig:
    path = tmp_path / "rig.toml"
    path.write_text(text, "utf-8")
    return read_rig(path)


def test_a_rig_is_what_its_file_says(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD) == Rig(
        "bench 3",
        (RigDevice("pack", "leaf@slcan:/dev/ttyACM0?bitrate=500000", 1.0),),
        "cal-2026-04",
        Limits(cell_voltage_max_v=4.2, n_cells=96),
        ("relay", "off"),
    )


def test_without_limits_nothing_is_watched(tmp_path: Path) -> None:
    rig = read(tmp_path, GOOD.partition("[limits]")[0])
    assert not rig.limits.any
    assert rig.on_alarm == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("n_cells = 96", "n_cell = 96", "unknown key 'n_cell'"),
        ("n_cells = 96", "n_cells = 9.5", "whole"),
        ("n_cells = 96", "n_cells = true", "must be a number"),
        ("n_cells = 96", "silence_s = 0", "above 0"),
        ("n_cells = 96", "silence_s = nan", "must be a number"),
        ("n_cells = 96", "cell_voltage_min_v = 4.3", "not below"),
        ("period_s = 1.0", "period_s = 0", "above 0"),
        ("period_s = 1.0", "", "period_s"),
        ("period_s = 1.0", 'period_s = "1"', "must be a number"),
        ('name = "pack"', 'name = "a pack/.."', "is no name"),
        ('"leaf@slcan:/dev/ttyACM0?bitrate=500000"', '"leaf"', "is no target"),
        ("[[device]]", "[device]", "no \\[\\[device\\]\\]"),
        ('run = ["relay", "off"]', 'run = "relay off"', "no list"),
        ("[rig]", "[rig", "is no TOML"),
        ('name = "bench 3"', "", "name must be a text"),
    ],
)
def test_a_wrong_rig_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=said):
        read(tmp_path, GOOD.replace(old, new, 1))


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    again = GOOD + '\n[[device]]\nname = "pack"\ntarget = "a@b"\nperiod_s = 1\n'
    with pytest.raises(InputError, match="two devices"):
        read(tmp_path, again)


def rig_of(*labels: str) -> Rig:
    return Rig(
        "r", tuple(RigDevice(f"d{i}", "a@b", 1.0, u) for i, u in enumerate(labels))
    )


def test_the_scanned_code_names_the_one_unit() -> None:
    assert unit_ids(rig_of("", ""), " 4711\n", {}) == {"d0": "4711", "d1": "4711"}


def test_units_of_a_rig_have_their_own_ids() -> None:
    rig = rig_of("left", "right", "left")
    assert unit_ids(rig, None, {"left": "A", "right": "B"}) == {
        "d0": "A",
        "d1": "B",
        "d2": "A",
    }
    assert unit_ids(rig, None, {"left": "A"})["d1"] == "right"


@pytest.mark.parametrize(
    ("labels", "unit", "units", "said"),
    [
        ([""], None, {}, "no id"),
        ([""], "  ", {}, "no id"),
        (["a", "b"], "x", {}, "one unit id"),
        (["a", "b"], None, {"a": "x", "b": "x"}, "given twice"),
        (["a", "b"], None, {"a": ""}, "no id"),
        (["a"], None, {"c": "x"}, "no device"),
        ([""], "a\x00b", {}, "no unit id"),
    ],
)
def test_wrong_ids_are_refused(
    labels: list[str], unit: str | None, units: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        unit_ids(rig_of(*labels), unit, units)
