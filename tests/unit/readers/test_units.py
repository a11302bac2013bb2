"""units.toml: what it may say, and how the files of a unit are joined."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from battlife.errors import InputError
from battlife.model import Provenance, Severity, Source, Spectrum, StepTable, Trace
from battlife.readers.units import (
    FileEntry,
    find_units_file,
    join,
    load_units,
    pack_from,
)
from support import DATASETS

FULL = """
[[unit]]
id = "B0045"
files = ["B0045.mat"]
chemistry = "LCO"
nominal_ah = 2.0
nominal_wh = 7.4
cells_in_series = 1
cutoff_v = 2.7
reference_degc = 24
test_degc = 23.5
manufactured = 2007-01-01
damage = ["dented"]
sensor = { voltage_v = 0.001, current_a = 0.005 }
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "units.toml"
    path.write_text(text, encoding="utf-8")
    return path


def unit(files: str = '["a.csv"]', more: str = "") -> str:
    return f'[[unit]]\nid = "u"\nfiles = {files}\n{more}\n'


def trace(time_s, start=None, sha="0", steps=None, spectra=(), **columns) -> Trace:
    time_s = np.asarray(time_s, float)
    source = Source(f"{sha}.csv", sha * 64, 1, "f")
    return Trace(
        "x",
        start,
        time_s,
        np.array([0]),
        {k: np.asarray(v, float) for k, v in columns.items()},
        steps,
        spectra,
        Provenance(sources=(source,)),
    )


def record(folder: Path, *entries: str):
    for name in "abc"[: len(entries)]:
        (folder / f"{name}.csv").write_text("x")
    files = ", ".join(
        f'{{ path = "{n}.csv"{", " + e if e else ""} }}'
        for n, e in zip("abc", entries, strict=False)
    )
    return load_units(write(folder, unit(f"[{files}]")))[0]


def codes(t: Trace) -> list[str]:
    return [n.code for n in t.provenance.notices]


def test_the_example_of_the_contract(tmp_path: Path) -> None:
    (found,) = load_units(write(tmp_path, FULL))
    pack = found.pack
    assert (pack.id, pack.chemistry, pack.nominal_ah) == ("B0045", "LCO", 2.0)
    assert (pack.nominal_wh, pack.cells_in_series) == (7.4, 1)
    assert (pack.cutoff_v, pack.reference_degc) == (2.7, 24.0)
    assert pack.test_degc == 23.5
    assert pack.manufactured == date(2007, 1, 1)
    assert pack.damage == ("dented",)
    assert pack.sensor == {"voltage_v": 0.001, "current_a": 0.005}
    assert pack.nominal_source == "units.toml"
    assert found.files == (FileEntry("B0045.mat"),)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", r"\[\[unit\]\]"),
        ("[unit]\nid = 'u'", r"\[\[unit\]\]"),
        ("nonsense =", "TOML"),
        (unit(more="nominal_Ah = 2"), "nominal_Ah"),
        (unit() + "[other]\nx = 1", "other"),
        (unit(more="nominal_ah = '2'"), "nominal_ah"),
        (unit(more="nominal_ah = true"), "nominal_ah"),
        (unit(more="nominal_ah = -2"), "nominal_ah"),
        (unit(more="nominal_ah = nan"), "nominal_ah"),
        (unit(more="nominal_ah = inf"), "nominal_ah"),
        (unit(more="cells_in_series = 0"), "cells_in_series"),
        (unit(more="cells_in_series = true"), "cells_in_series"),
        (unit(more="chemistry = 1"), "chemistry"),
        (unit(more="manufactured = 2007"), "manufactured"),
        (unit(more="manufactured = 2007-01-01T00:00:00Z"), "manufactured"),
        (unit(more="sensor = { voltage = 1 }"), "voltage"),
        (unit(more="sensor = { voltage_v = -1 }"), "voltage_v"),
        (unit(more="sensor = 'cal'"), "sensor"),
        (unit(more="damage = 'dent'"), "damage"),
        (unit(files="[]"), "files"),
        (unit(files='"a.csv"'), "files"),
        (unit(files="[1]"), "files"),
        (unit(files='[{ path = "a", periods = 1 }]'), "periods"),
        (unit(files='[{ path = "" }]'), "path"),
        (unit(files='[{ path = "a", period_s = 0 }]'), "period_s"),
        (unit(files='[{ path = "a", align = "spline" }]'), "spline"),
        (unit(files='[{ path = "a", align = "interpolate" }]'), "offset_s"),
        (unit(files='["../a.csv"]'), "leads out"),
        (unit(files='["/etc/passwd"]'), "leads out"),
        (unit(files="['C:\\\\a']"), "leads out"),
        (unit(files="['..\\\\a']"), "leads out"),
        (unit(more='mapping = "../m.toml"'), "leads out"),
        ('[[unit]]\nid = " "\nfiles = ["a"]', "id"),
        ('[[unit]]\nfiles = ["a"]', "id"),
        (unit() + unit(), "twice"),
        (unit() + '[[unit]]\nid = " u "\nfiles = ["b"]', "twice"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(InputError, match=named):
        load_units(write(tmp_path, text))


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_units(tmp_path / "units.toml")
    (tmp_path / "units.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="TOML"):
        load_units(tmp_path / "units.toml")


def test_find_units_file(tmp_path: Path) -> None:
    assert find_units_file(tmp_path) is None
    assert find_units_file(write(tmp_path, FULL).parent) == tmp_path / "units.toml"


def test_globs_are_sorted_and_each_file_comes_once(tmp_path: Path) -> None:
    for name in ("b2.csv", "b1.csv", "a [1].csv"):
        (tmp_path / name).write_text("x")
    path = write(tmp_path, unit('["a [1].csv", "b*.csv", "*.csv"]'))
    (found,) = load_units(path)
    assert [p.name for p in found.paths()] == ["a [1].csv", "b1.csv", "b2.csv"]


def test_a_glob_that_finds_nothing_is_an_error(tmp_path: Path) -> None:
    (found,) = load_units(write(tmp_path, unit()))
    with pytest.raises(InputError, match=r"no file matches 'a\.csv'"):
        found.paths()


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret.csv").write_text("x")
    (inside / "a.csv").symlink_to(tmp_path / "secret.csv")
    (found,) = load_units(write(inside, unit()))
    with pytest.raises(InputError, match="leads out"):
        found.paths()


def test_files_that_know_their_start_are_laid_on_the_clock(tmp_path: Path) -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    later = start + timedelta(seconds=100)
    joined = join(
        [
            trace([0, 5], later, "1", voltage_v=[3, 4]),
            trace([0, 7], start, "2", current_a=[1, 2]),
        ],
        record(tmp_path, "", ""),
    )
    assert joined.unit_id == "u"
    assert joined.start_utc == start
    assert joined.time_s.tolist() == [100, 105, 0, 7]
    assert joined.segment_start.tolist() == [0, 2]
    assert np.isnan(joined.column("voltage_v")[2:]).all()
    assert joined.column("current_a")[2:].tolist() == [1, 2]
    assert codes(joined) == []
    assert [s.sha256[0] for s in joined.provenance.sources] == ["1", "2"]
    assert joined.provenance.steps[-1].arguments == {"shift_s": "100, 0"}


def test_files_without_a_clock_are_laid_end_to_end_with_a_notice(tmp_path) -> None:
    joined = join(
        [trace([0, 5], sha="1"), trace([2, 9], sha="2"), trace([0, 1], sha="3")],
        record(tmp_path, "", "", ""),
    )
    assert joined.time_s.tolist() == [0, 5, 5, 12, 12, 13]
    assert joined.n_segments == 3
    assert codes(joined) == ["time_base_joined"]


def test_a_stated_offset_needs_no_notice(tmp_path: Path) -> None:
    joined = join(
        [trace([0, 5], sha="1"), trace([0, 1], sha="2")],
        record(tmp_path, "", "offset_s = 50"),
    )
    assert joined.time_s.tolist() == [0, 5, 50, 51]
    assert codes(joined) == []


def test_the_same_bytes_count_once(tmp_path: Path) -> None:
    one = trace([0, 5], sha="1")
    joined = join([one, one], record(tmp_path, "", ""))
    assert joined.time_s.tolist() == [0, 5]
    assert codes(joined) == ["duplicate_file"]


def test_steps_and_spectra_move_with_their_file(tmp_path: Path) -> None:
    steps = StepTable(np.array([1]), {"start_s": [1.0], "segment": [0.0]})
    other = StepTable(np.array([2]), {"start_s": [2.0], "duration_s": [3.0]})
    spectrum = Spectrum([1.0], [2.0], [3.0], time_s=4.0)
    joined = join(
        [
            trace([0, 5], sha="1", steps=steps),
            trace([0, 7], sha="2", steps=steps, spectra=(spectrum,)),
            trace([0, 1], sha="3", steps=other),
        ],
        record(tmp_path, "", "", ""),
    )
    assert joined.steps is not None
    assert joined.steps.kind.tolist() == [1, 1, 2]
    assert joined.steps.column("start_s").tolist() == [1, 6, 14]
    np.testing.assert_array_equal(joined.steps.column("segment"), [0, 1, np.nan])
    assert joined.spectra[0].time_s == 9.0


def test_interpolation_is_recorded_and_does_not_extrapolate(tmp_path: Path) -> None:
    base = trace([0, 10, 20, 30], sha="1", voltage_v=[1, 2, 3, 4])
    guest = trace([0, 4, 20], sha="2", temperature_degc=[20, 24, 40])
    joined = join(
        [base, guest], record(tmp_path, "", 'offset_s = 6, align = "interpolate"')
    )
    np.testing.assert_array_equal(
        joined.column("temperature_degc"), [np.nan, 24, 34, np.nan]
    )
    assert joined.n_segments == 1
    assert joined.provenance.steps[-1].arguments["offset_s"] == "6"
    notice = joined.provenance.notices[-1]
    assert (notice.code, notice.severity) == ("interpolated_columns", Severity.INFO)
    assert "50.0%" in notice.message
    assert len(joined.provenance.sources) == 2


def test_interpolation_that_cannot_be(tmp_path: Path) -> None:
    align = 'offset_s = 0, align = "interpolate"'
    base = trace([0, 1], sha="1", voltage_v=[1, 2])
    with pytest.raises(InputError, match="both logs have voltage_v"):
        join(
            [base, replace(base, provenance=Provenance())], record(tmp_path, "", align)
        )
    with pytest.raises(InputError, match="time base"):
        join([base], record(tmp_path, align))
    with pytest.raises(InputError, match="one run"):
        join([base, trace([0], sha="2")], record(tmp_path, "", align))


def test_files_with_different_cell_counts_are_of_different_units(tmp_path) -> None:
    with pytest.raises(InputError, match="number of cells"):
        join(
            [
                trace([0], sha="1", cell_voltage_v=[[1], [2]]),
                trace([0], sha="2", cell_voltage_v=[[1]]),
            ],
            record(tmp_path, "", ""),
        )


@dataclass(frozen=True)
class Periodic:
    """A reader of logs without time, as the LabVIEW one is."""

    name: str = "periodic"
    description: str = "test"
    period_s: float | None = None

    def recognises(self, head: bytes, name: str) -> bool:
        return True

    def read(self, path: Path) -> list[Trace]:
        n = int(path.read_text())
        base = trace(np.arange(2) * (self.period_s or 0.0))
        return [replace(base, provenance=Provenance())] * n


def test_a_period_reaches_the_reader(tmp_path: Path) -> None:
    found = record(tmp_path, "period_s = 2.5")
    (tmp_path / "a.csv").write_text("1")
    (read,) = found.read(Periodic())
    assert read.time_s.tolist() == [0, 2.5]


def test_a_file_of_several_units_is_not_one_units_file(tmp_path: Path) -> None:
    found = record(tmp_path, "")
    (tmp_path / "a.csv").write_text("2")
    with pytest.raises(InputError, match="holds 2 units"):
        found.read(Periodic())


def test_nominal_capacity_has_an_order_and_a_source(tmp_path: Path) -> None:
    (known,) = load_units(write(tmp_path, FULL))
    bare = trace([0])
    stated = replace(bare, provenance=Provenance(header={"nominal_capacity_ah": "3"}))

    def nominal(t, r, given=None):
        pack = pack_from(t, r, "id", given)
        assert pack.id == "id"
        return pack.nominal_ah, pack.nominal_source

    assert nominal(stated, known, 5.0) == (5.0, "command line")
    assert nominal(stated, known) == (2.0, "units.toml")
    assert nominal(stated, None) == (3.0, "file")
    assert nominal(bare, None) == (None, "")
    for junk in ("0", "-1", "nan", "inf", "x", ""):
        header = Provenance(header={"nominal_capacity_ah": junk})
        assert nominal(replace(bare, provenance=header), None) == (None, "")
    with pytest.raises(InputError, match="positive"):
        nominal(bare, None, -1.0)


@pytest.mark.parametrize("path", sorted(DATASETS.rglob("units.toml")), ids=str)
def test_what_ships_is_valid_and_names_files_that_are_there(path: Path) -> None:
    for shipped in load_units(path):
        assert shipped.paths()


def test_gain_uncertainty_is_a_sensor_key(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("x")
    path = tmp_path / "units.toml"
    path.write_text(
        '[[unit]]\nid = "u"\nfiles = ["log.csv"]\n'
        "sensor = { voltage_v = 0.001, current_relative = 0.002 }\n"
    )
    (record,) = load_units(path)
    assert record.pack.sensor == {"voltage_v": 0.001, "current_relative": 0.002}
    path.write_text(path.read_text().replace("current_relative", "current_gain"))
    with pytest.raises(InputError, match="current_gain"):
        load_units(path)
