"""Delimited text: encodings, delimiters, damage, units, signs, mappings."""

from pathlib import Path

import numpy as np
import pytest

from battlife import readers
from battlife.errors import FormatError, InputError
from battlife.model import Severity, Trace
from battlife.readers.clocks import clock_ratio, durations_s
from battlife.readers.columns import conversion, direction, meaning
from battlife.readers.mapped import load_mapping
from battlife.readers.vocabulary import CLOCK_UNIT
from support import shared

# One record each 10 s: rest, 2 A of charge, 2 A of discharge; 50 milliohm.
N = 200
TIME_S = np.arange(N) * 10.0
CURRENT_A = np.where(TIME_S < 500, 0.0, np.where(TIME_S < 1200, 2.0, -2.0))
CHARGE_AH = np.concatenate(([0.0], np.cumsum(CURRENT_A[1:]) * 10.0 / 3600.0))
VOLTAGE_V = 3.6 + 0.1 * CHARGE_AH + 0.05 * CURRENT_A
STATES = ["R" if i == 0 else "C" if i > 0 else "D" for i in CURRENT_A]


def clock(time_s: float) -> str:
    whole = int(time_s)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def written(path: Path, header: str, rows: list[str], encoding: str = "utf-8") -> Path:
    path.write_bytes("".join(f"{r}\n" for r in (header, *rows)).encode(encoding))
    return path


def plain_rows(time: float = 1.0, voltage: float = 1.0, current: float = 1.0) -> list:
    return [
        f"{t * time:.9g},{v * voltage:.9g},{i * current:.9g}"
        for t, v, i in zip(TIME_S, VOLTAGE_V, CURRENT_A, strict=True)
    ]


def read_one(path: Path) -> Trace:
    (trace,) = readers.read(path)
    return trace


def assert_truth(trace: Trace) -> None:
    np.testing.assert_allclose(trace.time_s, TIME_S, atol=1e-4)
    np.testing.assert_allclose(trace.column("voltage_v"), VOLTAGE_V, atol=1e-6)
    np.testing.assert_allclose(trace.column("current_a"), CURRENT_A, atol=1e-6)


def severities(trace: Trace) -> dict[str, Severity]:
    return {n.code: n.severity for n in trace.provenance.notices}


@pytest.mark.parametrize(
    ("header", "quantity", "unit"),
    [
        ("Test_Time(s)", "time_s", "s"),
        ("time/s", "time_s", "s"),
        ("Total Time (Hours in hh:mm:ss.xxx)", "time_s", CLOCK_UNIT),
        ("<I>/mA", "current_a", "mA"),
        ("Amps", "current_a", "A"),
        ("voltage_volt", "voltage_v", "volt"),
        ("Charge Capacity (mWh)", "charge_energy_wh", "mWh"),
        ("-Im(Z)/Ohm", "minus_z_im_ohm", "Ohm"),
        ("Cycle C", "cycle_index", ""),
        ("Step (Sec)", "step_time_s", "Sec"),
        ("t-Step[h]", "step_time_s", "h"),
    ],
)
def test_header_gives_quantity_and_unit(header: str, quantity: str, unit: str) -> None:
    found = meaning(header)
    assert found is not None
    assert (found.quantity, found.unit) == (quantity, unit)


@pytest.mark.parametrize("header", ["control/V/mA", "mAh/g", "dQ/dV (Ah/V)", "I Range"])
def test_neighbour_of_a_quantity_is_not_taken_for_it(header: str) -> None:
    assert meaning(header) is None


def test_case_of_a_prefix_is_not_guessed() -> None:
    assert conversion("voltage_v", "mV") == (1e-3, 0.0)
    assert conversion("voltage_v", "MV") is None


@pytest.mark.parametrize(
    ("state", "way"),
    [("CC DChg", -1), ("DCHG", -1), ("D", -1), ("CCCV Chg", 1), ("C", 1), ("Rest", 0)],
)
def test_state_gives_direction(state: str, way: int) -> None:
    assert direction(state) == way


def test_durations() -> None:
    import polars as pl

    texts = ["00:00:01.5", "  1d 00:00:00.0000", "27:55:43", "1-00:00:01", "x"]
    expected = [1.5, 86400.0, 100543.0, 86401.0, np.nan]
    np.testing.assert_array_equal(durations_s(pl.Series(texts)), expected)


def test_pause_does_not_decide_the_clock() -> None:
    wall = TIME_S + np.where(TIME_S > 900, 7200.0, 0.0)
    assert clock_ratio(TIME_S / 60.0, wall) == pytest.approx(60.0)


def test_decimal_comma_and_semicolons(tmp_path: Path) -> None:
    rows = [r.replace(",", ";").replace(".", ",") for r in plain_rows()]
    path = written(tmp_path / "a.csv", "Time (s);Voltage (V);Current (A)", rows)
    assert_truth(read_one(path))


def test_utf16_and_prefixed_units(tmp_path: Path) -> None:
    rows = [r.replace(",", "\t") for r in plain_rows(1e3, 1e3, 1e6)]
    header = "Time (ms)\tVoltage (mV)\tCurrent (uA)"
    assert_truth(read_one(written(tmp_path / "a.txt", header, rows, "utf-16")))


def test_chinese_headers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    written(path, "测试时间(s),电压(V),电流(mA)", plain_rows(current=1e3), "gbk")
    assert_truth(read_one(path))


def test_units_in_the_second_line(tmp_path: Path) -> None:
    rows = ["[h],[V],[A]", *plain_rows(time=1 / 3600)]
    path = written(tmp_path / "a.csv", "Prog Time,Voltage,Current", rows)
    assert_truth(read_one(path))


def test_bdf_in_hours(tmp_path: Path) -> None:
    header = "Test Time / h,Voltage / V,Current / A"
    path = written(tmp_path / "a.bdf.csv", header, plain_rows(time=1 / 3600))
    assert readers.detect(path).name == "bdf"
    assert_truth(read_one(path))


def test_time_scale_denied_by_unix_time_is_suspect(tmp_path: Path) -> None:
    header = "test_time_second,voltage_volt,current_ampere,unix_time_second"
    rows = [
        f"{r},{1.7e9 + t:.1f}"
        for r, t in zip(plain_rows(time=3600), TIME_S, strict=True)
    ]
    trace = read_one(written(tmp_path / "a.bdf.csv", header, rows))
    assert severities(trace)["time_scale_contradicted"] is Severity.SUSPECT


def test_volts_in_millivolt_are_suspect(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "Seconds,Volts,Amps", plain_rows(voltage=1e3))
    assert severities(read_one(path))["implausible_voltage"] is Severity.SUSPECT


def test_discharge_positive_is_turned_by_the_voltage(tmp_path: Path) -> None:
    header = "Time (s),Voltage (V),Current (A)"
    trace = read_one(written(tmp_path / "a.csv", header, plain_rows(current=-1)))
    assert_truth(trace)
    assert "sign_turned" in severities(trace)


def test_sign_that_nothing_shows_is_suspect(tmp_path: Path) -> None:
    rows = [f"{t:.0f},3.7,1.0" for t in TIME_S]
    path = written(tmp_path / "a.csv", "Time (s),Voltage (V),Current (A)", rows)
    assert severities(read_one(path))["sign_assumed"] is Severity.SUSPECT


def test_unsigned_current_takes_the_state(tmp_path: Path) -> None:
    rows = [
        f"{t:.0f},{v:.9g},{abs(i)},{s}"
        for t, v, i, s in zip(TIME_S, VOLTAGE_V, CURRENT_A, STATES, strict=True)
    ]
    header = "Time (s),Voltage (V),Current (A),State"
    assert_truth(read_one(written(tmp_path / "a.csv", header, rows)))


def test_time_without_unit_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "time,voltage,current", plain_rows())
    with pytest.raises(InputError, match="'time' has no unit") as caught:
        readers.read(path)
    assert 'quantity = "time_s"' in caught.value.hint


def test_damaged_line_is_counted_and_named(tmp_path: Path) -> None:
    rows = plain_rows()
    rows[10] = "9,9"
    header = "Time (s),Voltage (V),Current (A)"
    trace = read_one(written(tmp_path / "a.csv", header, rows))
    assert trace.n_samples == N - 1
    (found,) = [n for n in trace.provenance.notices if n.code == "unreadable_rows"]
    assert found.message.startswith("1 lines") and found.message.endswith(": 12")


def test_cut_last_record_is_left_out_and_said(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "Time (s),Voltage (V),Current (A)", plain_rows())
    data = path.read_bytes().rstrip(b"\n")
    path.write_bytes(data[: data.rindex(b",")])
    trace = read_one(path)
    assert trace.n_samples == N - 1
    assert {"truncated_record", "unterminated_last_line"} <= set(severities(trace))


def test_time_that_goes_back_starts_segments(tmp_path: Path) -> None:
    rows = [
        f"{t % 500:.0f},{v:.9g},{i}"
        for t, v, i in zip(TIME_S, VOLTAGE_V, CURRENT_A, strict=True)
    ]
    path = written(tmp_path / "a.csv", "Time (s),Voltage (V),Current (A)", rows)
    trace = read_one(path)
    assert trace.segment_start.tolist() == [0, 50, 100, 150]
    assert "time_goes_back" in severities(trace)


def test_column_of_units_gives_one_trace_each(tmp_path: Path) -> None:
    rows = [f"{r},{unit}" for r in plain_rows() for unit in "AB"]
    header = "Time (s),Voltage (V),Current (A),Cell ID"
    traces = readers.read(written(tmp_path / "a.csv", header, rows))
    assert [t.unit_id for t in traces] == ["A", "B"]
    for trace in traces:
        assert_truth(trace)


@pytest.mark.parametrize(
    "text", ["(Time,Voltage) as text\n", "EXPLAIN\nTime (s)\tVoltage (V)\n1\t2\n"]
)
def test_foreign_text_is_not_claimed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(FormatError):
        readers.detect(path)


MAPPING = """
[[column]]
source = "clock"
quantity = "time_s"
unit = "min"
[[column]]
source = "u"
quantity = "voltage_v"
unit = "mV"
[[column]]
source = "i"
quantity = "current_a"
unit = "A"
[layout]
delimiter = "|"
decimal = ","
[current]
sign = "discharge_positive"
"""


def test_user_mapping(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(MAPPING)
    rows = [
        r.replace(",", "|").replace(".", ",") for r in plain_rows(1 / 60, 1e3, -1.0)
    ]
    path = written(tmp_path / "a.log", "clock|u|i", rows)
    (trace,) = readers.read(path, load_mapping(mapping))
    assert_truth(trace)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('unit = "min"', 'unit = "mV"', "unit 'mV'"),
        ('"time_s"', '"tme_s"', "unknown quantity 'tme_s'"),
        ("[current]", "[currant]", "unknown key 'currant'"),
        ('sign = "discharge_positive"', 'sign = "up"', "current.sign"),
        ("[layout]", "[layout", "not TOML"),
    ],
)
def test_wrong_mapping_names_the_key(
    tmp_path: Path, old: str, new: str, named: str
) -> None:
    path = tmp_path / "m.toml"
    path.write_text(MAPPING.replace(old, new))
    with pytest.raises(InputError, match=named):
        load_mapping(path)


CALCE = """
[[column]]
source = "t_s"
quantity = "time_s"
unit = "s"
[[column]]
source = "i_A"
quantity = "current_a"
unit = "A"
[[column]]
source = "v_V"
quantity = "voltage_v"
unit = "V"
[time]
restarts_with = "file_no"
[current]
sign = "charge_positive"
"""


def test_mapping_of_parquet_with_restarts(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(CALCE)
    path = shared("calce_cs2/CS2_35_timeseries.parquet")
    (trace,) = readers.read(path, load_mapping(mapping))
    assert (trace.n_samples, trace.n_segments) == (266914, 25)
    assert set(trace.columns) == {"current_a", "voltage_v"}
