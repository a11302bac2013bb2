"""Formats beside the ones with a mapping, and text as spreadsheets and people leave it.

The snippets are written here in the shape of each tester's export.
"""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import xlsxwriter

from battlife import readers
from battlife.errors import FormatError, InputError
from battlife.model import Severity, Trace
from battlife.readers.numerals import spelled

# One record each 10 s: rest, 2 A of charge, 2 A of discharge; 50 milliohm.
N = 200
TIME_S = np.arange(N) * 10.0
CURRENT_A = np.where(TIME_S < 500, 0.0, np.where(TIME_S < 1200, 2.0, -2.0))
CHARGE_AH = np.concatenate(([0.0], np.cumsum(CURRENT_A[1:]) * 10.0 / 3600.0))
VOLTAGE_V = 3.6 + 0.1 * CHARGE_AH + 0.05 * CURRENT_A
COMMANDS = [
    "Pause" if i == 0 else "Charge" if i > 0 else "Discharge" for i in CURRENT_A
]
HEADER = "Time (s),Voltage (V),Current (A)"
START = datetime(2024, 3, 1, 23, 50, tzinfo=UTC)


def of_record(*columns: object) -> list[tuple]:
    return list(zip(*columns, strict=True))


def written(path: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    return path


def plain_rows(separator: str = ",") -> list[str]:
    return [
        separator.join(f"{x:.9g}" for x in row)
        for row in of_record(TIME_S, VOLTAGE_V, CURRENT_A)
    ]


def read_one(path: Path) -> Trace:
    (trace,) = readers.read(path)
    return trace


def assert_truth(trace: Trace, atol: float = 1e-4) -> None:
    np.testing.assert_allclose(trace.time_s, TIME_S, atol=1e-3)
    np.testing.assert_allclose(trace.column("voltage_v"), VOLTAGE_V, atol=atol)
    np.testing.assert_allclose(trace.column("current_a"), CURRENT_A, atol=atol)


def severities(trace: Trace) -> dict[str, Severity]:
    return {n.code: n.severity for n in trace.provenance.notices}


def clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S")


def moments() -> list[datetime]:
    return [START + timedelta(seconds=float(t)) for t in TIME_S]


# Clocks


def test_biologic_stamps_under_a_test_time_are_the_wall_clock(tmp_path: Path) -> None:
    rows = [
        f"{m.strftime('%m/%d/%Y %H:%M:%S')}.000\t{v:.7E}\t{i * 1000:.7E}"
        for m, v, i in of_record(moments(), VOLTAGE_V, CURRENT_A)
    ]
    path = written(
        tmp_path / "a.txt",
        "BT-Lab ASCII FILE",
        "Nb header lines : 4",
        "",
        "time/s\tEcell/V\tI/mA",
        *rows,
        end="\r\n",
    )
    trace = read_one(path)
    assert trace.provenance.sources[0].format == "biologic_text"
    assert_truth(trace)
    assert severities(trace)["time_from_wall_clock"] is Severity.WARNING


def test_date_beside_a_time_of_day_runs_over_midnight(tmp_path: Path) -> None:
    rows = [
        f"{m.strftime('%Y-%m-%d')},{clock(m)},{v:.6f},{i:.1f}"
        for m, v, i in of_record(moments(), VOLTAGE_V, CURRENT_A)
    ]
    path = written(tmp_path / "a.csv", "Date,Time,Voltage (V),Current (A)", *rows)
    trace = read_one(path)
    assert_truth(trace)
    assert trace.segment_start.tolist() == [0]


def test_elapsed_time_beside_a_date_stays_elapsed(tmp_path: Path) -> None:
    # The date advances, the time does not fall: it is no time of day.
    elapsed = [timedelta(seconds=float(t)) for t in TIME_S]
    rows = [
        f"{m.strftime('%Y-%m-%d')},{e},{v:.6f},{i:.1f}"
        for m, e, v, i in of_record(moments(), elapsed, VOLTAGE_V, CURRENT_A)
    ]
    path = written(tmp_path / "a.csv", "Date,Time,Voltage (V),Current (A)", *rows)
    assert_truth(read_one(path))


def test_dates_without_a_time_are_no_time(tmp_path: Path) -> None:
    rows = [f"2024-01-{1 + k // 8:02d},3.6,0" for k in range(N)]
    path = written(tmp_path / "a.csv", "Date,Voltage (V),Current (A)", *rows)
    with pytest.raises(InputError, match="no time column") as error:
        readers.read(path)
    assert error.value.hint


def test_step_time_that_restarts_is_laid_along_the_stamps(tmp_path: Path) -> None:
    begin = np.where(TIME_S < 500, 0.0, np.where(TIME_S < 1200, 500.0, 1200.0))
    rows = [
        f"{k},{timedelta(seconds=float(t))},{v:.6f},{i:.1f},{m:%Y-%m-%d %H:%M:%S}"
        for k, t, v, i, m in of_record(
            range(N), TIME_S - begin, VOLTAGE_V, CURRENT_A, moments()
        )
    ]
    header = "DataPoint,Time,Voltage(V),Current(A),Date"
    trace = read_one(written(tmp_path / "a.csv", header, *rows))
    assert_truth(trace)
    assert trace.segment_start.tolist() == [0]
    np.testing.assert_allclose(trace.column("step_time_s"), TIME_S - begin)
    assert severities(trace)["time_from_steps"] is Severity.WARNING


def test_neware_cumulative_time_wins_over_the_time_of_the_step(tmp_path: Path) -> None:
    rows = [
        f"{k},{timedelta(seconds=float(t % 500))},{timedelta(seconds=float(t))},{v},{i}"
        for k, t, v, i in of_record(range(N), TIME_S, VOLTAGE_V, CURRENT_A)
    ]
    header = "DataPoint,Time,Cumulative Time,Voltage(V),Current(A)"
    assert_truth(read_one(written(tmp_path / "a.csv", header, *rows)))


def test_days_before_a_clock(tmp_path: Path) -> None:
    rows = [f"{k // 24}.{k % 24:02d}:00:00,3.6,0" for k in range(60)]
    path = written(tmp_path / "a.csv", "Total Time,Voltage (V),Current (A)", *rows)
    np.testing.assert_allclose(read_one(path).time_s, np.arange(60) * 3600.0)


def test_stamps_in_milliseconds_since_1970(tmp_path: Path) -> None:
    rows = [
        f"{1_700_000_000_000 + t * 1000:.0f},{v:.6f},{i:.1f}"
        for t, v, i in of_record(TIME_S, VOLTAGE_V, CURRENT_A)
    ]
    path = written(tmp_path / "a.csv", "Timestamp,Voltage (V),Current (A)", *rows)
    trace = read_one(path)
    assert_truth(trace)
    assert trace.start_utc == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_records_in_no_order_are_suspect(tmp_path: Path) -> None:
    rows = plain_rows()
    mixed = [rows[(k * 73) % N] for k in range(N)]
    trace = read_one(written(tmp_path / "a.csv", HEADER, *mixed))
    assert severities(trace)["time_goes_back"] is Severity.SUSPECT


# Testers


@pytest.mark.parametrize("mark", ["~", "#"])
def test_basytec_takes_the_sign_from_its_command(tmp_path: Path, mark: str) -> None:
    rows = [
        f"{t / 3600:.9f}\t{c}\t{v:.6f}\t{i:.3f}\t3"
        for t, c, v, i in of_record(TIME_S, COMMANDS, VOLTAGE_V, CURRENT_A)
    ]
    path = written(
        tmp_path / "a.txt",
        "~Resultfile from Basytec Battery Test System",
        "~Battery: cell 7",
        f"{mark}Time[h]\tCommand\tU[V]\tI[A]\tState",
        *rows,
    )
    trace = read_one(path)
    assert trace.provenance.sources[0].format == "basytec"
    assert_truth(trace)
    assert "sign_assumed" not in severities(trace)


def test_current_per_mass_is_not_a_current(tmp_path: Path) -> None:
    rows = [f"{t / 3600:.9f}\t{v:.6f}\t10.0" for t, v in of_record(TIME_S, VOLTAGE_V)]
    path = written(tmp_path / "a.txt", "~Time[h]\tU[V]\tI[A/kg]", *rows)
    trace = read_one(path)
    assert "current_a" not in trace.columns
    assert severities(trace)["unit_unknown"] is Severity.SUSPECT


def test_digatron_units_after_a_hash(tmp_path: Path) -> None:
    rows = [
        f"1,{'CC_DCH' if i < 0 else 'CC_CHG'},{t},{v * 1000},{i},{max(q, 0):.6f}"
        for t, v, i, q in of_record(TIME_S, VOLTAGE_V, CURRENT_A, CHARGE_AH)
    ]
    header = "Step,Status,Program Duration#s,Voltage#mV,Current#A,AhBal#Ah"
    assert_truth(read_one(written(tmp_path / "a.csv", header, *rows)))


def test_maccor_csv_with_its_clock_in_any_case(tmp_path: Path) -> None:
    states = ["R" if i == 0 else "C" if i > 0 else "D" for i in CURRENT_A]
    rows = [
        f"{k},1,1,{t / 60:.9f},{abs(i):.2f},{v:.5f},{s},{m:%m/%d/%Y %I:%M:%S %p}"
        for k, t, i, v, s, m in of_record(
            range(1, N + 1), TIME_S, CURRENT_A, VOLTAGE_V, states, moments()
        )
    ]
    path = written(
        tmp_path / "a.csv",
        "Today''s Date,04/08/2019 1:39:09 PM",
        "Rec#,Cyc#,Step,TestTime,Amps,Volts,State,DPt Time",
        *rows,
    )
    trace = read_one(path)
    assert trace.provenance.sources[0].format == "maccor"
    assert_truth(trace)


def test_maccor_tester_channel_is_not_the_tester(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.txt",
        "Today's Date:\t1 May 2020\tTester Channel:\t12",
        "Rec#\tCyc#\tStep\tTest (Sec)\tAmps\tVolts\tState",
        *(f"{k}\t1\t1\t{k}\t0.0\t3.6\tR" for k in range(1, 9)),
    )
    assert "instrument" not in read_one(path).provenance.header


def quoted(*fields: object) -> str:
    return ",".join(f'"\t{field}"' for field in fields)


def test_neware_hierarchy_with_tabs_and_quotes(tmp_path: Path) -> None:
    lines = [
        "Cycle ID," + quoted("Cap_Chg(mAh)", "Cap_DChg(mAh)", ""),
        "," + quoted("Step ID", "Step Name", "Step Time(h:min:s.ms)", "Capacity(mAh)"),
        ",,"
        + quoted("Record ID", "Time(h:min:s.ms)", "Voltage(V)", "Current(mA)")
        + ","
        + quoted("Capacitance_Chg(mAh)", "Capacitance_DChg(mAh)", "Realtime", ""),
        "1," + quoted("38.9", "44.4", ""),
    ]
    names = {"Pause": "Rest", "Charge": "CC_Chg", "Discharge": "CC_DChg"}
    begin, before, step = 0.0, "", 0
    for t, c, v, i, m in of_record(TIME_S, COMMANDS, VOLTAGE_V, CURRENT_A, moments()):
        if c != before:
            begin, before, step = t, c, step + 1
            lines.append("," + quoted(step, names[c], "0:01:00.000", "1.0"))
        counted = 2000.0 * (t - begin + (10.0 if i else 0.0)) / 3600.0
        chg, dis = (counted if i > 0 else 0.0), (counted if i < 0 else 0.0)
        elapsed = f"{timedelta(seconds=float(t - begin))}.000"
        stamp = m.strftime("%m/%d/%Y %H:%M:%S")
        record = (round(t / 10) + 1, elapsed, f"{v:.6f}", f"{i * 1000:.1f}")
        lines.append(
            ",," + quoted(*record) + "," + quoted(f"{chg:.6f}", f"{dis:.6f}", stamp, "")
        )
    trace = read_one(written(tmp_path / "a.csv", *lines, encoding="cp1252"))
    assert trace.provenance.sources[0].format == "neware_csv"
    assert_truth(trace)
    assert trace.steps is not None
    assert len(trace.steps) == 3
    assert trace.column("charge_capacity_ah").max() == pytest.approx(70 * 2 / 360)
    assert Severity.SUSPECT not in severities(trace).values()


def test_landt_seconds_with_a_full_stop(tmp_path: Path) -> None:
    rows = plain_rows("\t")
    path = written(tmp_path / "a.csv", "TestTime/Sec.\tVoltage/V\tCurrent/A", *rows)
    trace = read_one(path)
    assert_truth(trace)
    assert "unit_proved" not in severities(trace)


@pytest.mark.parametrize(
    ("first", "what"),
    [
        ("EC-LAB SETTING FILE", "settings"),
        ("BT-Lab LOG FILE", "without samples"),
    ],
)
def test_ec_lab_companions_are_named(tmp_path: Path, first: str, what: str) -> None:
    path = written(tmp_path / "a.mps", first, "", "Device : MPG-2")
    with pytest.raises(FormatError, match=what):
        readers.read(path)


def test_cycle_table_of_battery_archive_is_refused(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a_cycle_data.csv",
        "Cycle_Index,Start_Time,End_Time,Test_Time (s),Min_Current (A)",
        "1,2010-01-01 00:00:00,2010-01-01 03:00:00,10800,-0.55",
    )
    with pytest.raises(InputError, match="one row per cycle") as error:
        readers.read(path)
    assert "timeseries" in (error.value.hint or "")


# Workbooks


def book(path: Path, **sheets: list[list[object]]) -> Path:
    with xlsxwriter.Workbook(path) as workbook:
        formats = {
            timedelta: workbook.add_format({"num_format": "[h]:mm:ss"}),
            datetime: workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        }
        for title, rows in sheets.items():
            sheet = workbook.add_worksheet(title)
            for r, row in enumerate(rows):
                for c, cell in enumerate(row):
                    sheet.write(r, c, cell, formats.get(type(cell)))
    return path


def neware_rows(part: slice) -> list[list[object]]:
    header = ["DataPoint", "Step Type", "Total Time", "Current(mA)", "Voltage(V)"]
    rows = of_record(range(N), COMMANDS, TIME_S, CURRENT_A, VOLTAGE_V)[part]
    return [
        header,
        *(
            [k, c, str(timedelta(seconds=float(t))), i * 1e3, v]
            for k, c, t, i, v in rows
        ),
    ]


def test_neware_workbook_continues_on_a_second_sheet(tmp_path: Path) -> None:
    path = book(
        tmp_path / "a.xlsx",
        test=[["Start Time", "x"]],
        record=neware_rows(slice(0, 120)),
        record2=neware_rows(slice(120, None)),
    )
    trace = read_one(path)
    assert_truth(trace)
    assert severities(trace)["sheets_not_used"] is Severity.INFO
    assert "sheets_joined" in severities(trace)


def test_another_table_of_samples_is_not_left_out_silently(tmp_path: Path) -> None:
    other = [["Test Time (s)", "Current (A)"], *([t, 0.0] for t in range(5))]
    path = book(tmp_path / "a.xlsx", record=neware_rows(slice(None)), other=other)
    trace = read_one(path)
    assert_truth(trace)
    assert severities(trace)["sheets_not_used"] is Severity.WARNING


def test_workbook_with_a_row_of_units_named_csv(tmp_path: Path) -> None:
    rows = of_record(TIME_S, VOLTAGE_V * 1e3, CURRENT_A * 1e3)
    path = book(
        tmp_path / "a.xlsx",
        data=[["Cell", 7], [], ["Time", "Voltage", "Current"], ["s", "mV", "mA"]]
        + [list(map(float, row)) for row in rows],
    )
    assert_truth(read_one(path.rename(tmp_path / "a.csv")))


def test_durations_and_dates_as_cells(tmp_path: Path) -> None:
    header = ["Test Time", "Date Time", "Voltage (V)", "Current (A)"]
    rows = of_record(TIME_S, moments(), VOLTAGE_V, CURRENT_A)
    path = book(
        tmp_path / "a.xlsx",
        data=[
            header,
            *(
                [timedelta(seconds=float(t)), m.replace(tzinfo=None), v, i]
                for t, m, v, i in rows
            ),
        ],
    )
    trace = read_one(path)
    assert_truth(trace)
    assert trace.provenance.header["start_time"].startswith("2024-03-01T23:50")


def test_workbook_without_units_names_the_file_and_the_mapping(tmp_path: Path) -> None:
    rows = [["time", "voltage", "current"], *([k, 3.6, 0.0] for k in range(9))]
    path = book(tmp_path / "a.xlsx", data=rows)
    with pytest.raises(InputError, match=r"a\.xlsx.*no unit") as error:
        readers.read(path)
    assert "mapping" in (error.value.hint or "")


def test_workbook_without_a_table_is_refused(tmp_path: Path) -> None:
    path = book(tmp_path / "a.xlsx", notes=[["Shopping", "list"], ["milk", 2]])
    with pytest.raises(FormatError, match="without a sheet"):
        readers.read(path)


# Impedance


FREQUENCY_HZ = np.array([1e4, 1e3, 1e2, 1e1, 1.0])
REAL_OHM = np.array([0.010, 0.012, 0.015, 0.020, 0.030])
IMAGINARY_OHM = np.array([0.001, -0.001, -0.003, -0.004, -0.006])


@pytest.mark.parametrize(
    ("header", "separator", "comma", "scale"),
    [
        ("f/Hz\tRe(Z)/Ohm\t-Im(Z)/Ohm", "\t", False, -1.0),
        ("Frequency (Hz);Z' (Ω);-Z'' (Ω)", ";", True, -1.0),
        ("freq/Hz,Zre/mOhm,Zim/mOhm", ",", False, 1.0),
        ("f/Hz Z'/Ohm Z''/Ohm", " ", False, 1.0),
    ],
)
def test_impedance_by_its_names(tmp_path, header, separator, comma, scale) -> None:
    size = 1e3 if "mOhm" in header else 1.0
    rows = [
        separator.join(f"{x:.6e}" for x in (f, re * size, im * scale * size))
        for f, re, im in of_record(FREQUENCY_HZ, REAL_OHM, IMAGINARY_OHM)
    ]
    rows = [r.replace(".", ",") for r in rows] if comma else rows
    trace = read_one(written(tmp_path / "a.txt", header, *rows))
    (spectrum,) = trace.spectra
    np.testing.assert_allclose(spectrum.frequency_hz, FREQUENCY_HZ)
    np.testing.assert_allclose(spectrum.z_re_ohm, REAL_OHM)
    np.testing.assert_allclose(spectrum.z_im_ohm, IMAGINARY_OHM)
    assert Severity.SUSPECT not in severities(trace).values()


def test_impedance_without_units_or_with_its_sign_turned_is_suspect(
    tmp_path: Path,
) -> None:
    rows = [
        f"{f},{re},{-im}"
        for f, re, im in of_record(FREQUENCY_HZ, REAL_OHM, IMAGINARY_OHM)
    ]
    path = written(tmp_path / "a.csv", "frequency,real,imaginary", *rows, *rows)
    trace = read_one(path)
    assert len(trace.spectra) == 2
    found = severities(trace)
    assert found["unit_assumed"] is Severity.SUSPECT
    assert found["impedance_sign_unknown"] is Severity.SUSPECT


def test_impedance_in_another_unit_is_refused(tmp_path: Path) -> None:
    rows = [f"{f},{r},0" for f, r in of_record(FREQUENCY_HZ, REAL_OHM)]
    header = "f/Hz,Zre/(Ohm.cm2),Zim/(Ohm.cm2)"
    with pytest.raises((InputError, FormatError)):
        readers.read(written(tmp_path / "a.csv", header, *rows))


def test_z60w_is_zplot(tmp_path: Path) -> None:
    rows = [
        f"{f},0,0,0,{re},{im},0,0,0"
        for f, re, im in of_record(FREQUENCY_HZ, REAL_OHM, IMAGINARY_OHM)
    ]
    path = written(
        tmp_path / "a.txt",
        '"Z60W Data File: Version 1.1"',
        '""',
        str(len(rows)),
        "\"  Freq (Hz)    Ampl     Bias   Time(Sec)   Z'(a)    Z''(b)    GD\"",
        *rows,
    )
    trace = read_one(path)
    assert trace.provenance.sources[0].format == "zplot"
    np.testing.assert_allclose(trace.spectra[0].z_im_ohm, IMAGINARY_OHM)


def gamry(*tables: str) -> list[str]:
    return [
        "EXPLAIN",
        "TAG\tEISPOT",
        "CONVENTION\tIQUANT\t1\tCurrent Convention",
        *(line for table in tables for line in table.split("|")),
    ]


ZCURVE = (
    "ZCURVE\tTABLE|\tPt\tTime\tFreq\tZreal\tZimag|\t#\ts\tHz\tohm\tohm"
    "|\t0\t1\t1000\t0.01\t-0.001|\t1\t2\t100\t0.02\t-0.002"
)


def test_gamry_tables_beside_the_experiment_may_have_other_units(
    tmp_path: Path,
) -> None:
    after = "FRACURVE\tTABLE\t1|\tPt\tT\tV|\t#\tmin\tV|\t0\t20.1\t0.1"
    aborted = "EXPERIMENTABORTED\tTOGGLE\tT\tExperiment Aborted"
    path = written(tmp_path / "a.dta", *gamry(ZCURVE, aborted, after))
    trace = read_one(path)
    np.testing.assert_allclose(trace.spectra[0].z_im_ohm, [-0.001, -0.002])
    assert severities(trace)["aborted"] is Severity.WARNING


def test_gamry_table_without_time_is_refused(tmp_path: Path) -> None:
    table = "CURVE\tTABLE\t1|\tCycle\tQ|\t#\tC|\t1\t20.1"
    with pytest.raises(InputError, match="no time"):
        readers.read(written(tmp_path / "a.dta", *gamry(table)))


def test_minus_the_real_part_is_turned(tmp_path: Path) -> None:
    rows = [
        f"{f},{-re},{-im}"
        for f, re, im in of_record(FREQUENCY_HZ, REAL_OHM, IMAGINARY_OHM)
    ]
    header = "f/Hz,-Z'/Ohm,-Z''/Ohm"
    (spectrum,) = read_one(written(tmp_path / "a.csv", header, *rows)).spectra
    np.testing.assert_allclose(spectrum.z_re_ohm, REAL_OHM)
    np.testing.assert_allclose(spectrum.z_im_ohm, IMAGINARY_OHM)


# Numbers, and damage by spreadsheets


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("\u22121.5", ".", -1.5),
        ("1,234.5", ".", 1234.5),
        ("1 234.5", ".", 1234.5),
        ("-1,234,567.25", ".", -1234567.25),
        ("1.234,5", ",", 1234.5),
        ("1.234.567,5", ",", 1234567.5),
        ("3,7", ",", 3.7),
        ("1,234", ".", None),
        ("1.234", ",", None),
        ("12,34.5", ".", None),
        ("(2.0)", ".", None),
    ],
)
def test_spelling_of_numbers(text: str, decimal: str, value: float | None) -> None:
    import polars as pl

    values, _ = spelled(pl.Series([text, "1"]), decimal)
    assert values.to_list() == [value, 1.0]


@pytest.mark.parametrize("decimal", [".", ","])
def test_thousands_marks_beside_decimals(tmp_path: Path, decimal: str) -> None:
    def grouped(x: float) -> str:
        text = f"{x:,.2f}"
        return text if decimal == "." else text.translate({44: ".", 46: ","})

    rows = [
        ";".join(map(grouped, (t, v * 1e3, i * 1e3)))
        for t, v, i in of_record(TIME_S, VOLTAGE_V, CURRENT_A)
    ]
    path = written(tmp_path / "a.csv", "Time (s);Voltage (mV);Current (mA)", *rows)
    trace = read_one(path)
    assert_truth(trace)
    assert "unreadable_values" not in severities(trace)


def test_a_selection_of_the_currents_is_suspect(tmp_path: Path) -> None:
    rows = [
        f"{t},{v},{i if i >= 0 else f'({-i})'}"
        for t, v, i in of_record(TIME_S, VOLTAGE_V, CURRENT_A)
    ]
    trace = read_one(written(tmp_path / "a.csv", HEADER, *rows))
    assert severities(trace)["unreadable_values"] is Severity.SUSPECT


def test_one_damaged_current_is_a_warning(tmp_path: Path) -> None:
    rows = plain_rows()
    rows[20] = "200,3.6,#DIV/0!"
    trace = read_one(written(tmp_path / "a.csv", HEADER, *rows))
    assert severities(trace)["unreadable_values"] is Severity.WARNING


def test_many_records_without_a_time_are_suspect(tmp_path: Path) -> None:
    rows = [f"x{r}" if k % 5 == 4 else r for k, r in enumerate(plain_rows())]
    trace = read_one(written(tmp_path / "a.csv", HEADER, *rows))
    assert trace.n_samples == 160
    assert severities(trace)["unreadable_rows"] is Severity.SUSPECT


@pytest.mark.parametrize(
    "row", ["{k},0,3,60{d},2,00", "{k},3.6{d},2.0,7", "7,{k},3.6{d},2.0"]
)
def test_more_fields_than_names_are_suspect(tmp_path: Path, row: str) -> None:
    rows = [row.format(k=10 * k, d=k % 10) for k in range(50)]
    trace = read_one(written(tmp_path / "a.csv", HEADER, *rows))
    assert severities(trace)["more_fields_than_names"] is Severity.SUSPECT


def test_empty_fields_after_the_last_name_are_not(tmp_path: Path) -> None:
    rows = [f"{r},," for r in plain_rows()]
    trace = read_one(written(tmp_path / "a.csv", HEADER, *rows))
    assert_truth(trace)
    assert "more_fields_than_names" not in severities(trace)


def test_header_repeated_inside_is_one_lost_line(tmp_path: Path) -> None:
    rows = plain_rows()
    path = written(tmp_path / "a.csv", HEADER, *rows[:100], HEADER, *rows[100:])
    trace = read_one(path)
    assert_truth(trace)
    assert severities(trace)["unreadable_rows"] is Severity.WARNING


def test_no_current_is_said(tmp_path: Path) -> None:
    rows = [f"{t},{v}" for t, v in of_record(TIME_S, VOLTAGE_V)]
    trace = read_one(written(tmp_path / "a.csv", "Time (s),Voltage (V)", *rows))
    assert severities(trace)["no_current"] is Severity.WARNING


def test_end_of_zero_bytes_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", HEADER, *plain_rows() * 3)
    path.write_bytes(path.read_bytes() + bytes(500))
    assert severities(read_one(path))["padded_end"] is Severity.WARNING


@pytest.mark.parametrize("tail", ["1," * 200_000, '"' * 300_001, "9" * 300_000])
def test_a_line_without_end_is_left_out(tmp_path: Path, tail: str) -> None:
    path = written(tmp_path / "a.csv", HEADER, *plain_rows(), tail)
    trace = read_one(path)
    assert_truth(trace)
    assert "unreadable_rows" in severities(trace)


def test_compressed_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"Time (s),Voltage (V)\n0,3.6\n"))
    with pytest.raises(FormatError, match="gzip archive, to be unpacked"):
        readers.read(path)


def test_a_name_given_twice_is_said(tmp_path: Path) -> None:
    rows = [f"{row},1.5" for row in plain_rows()]
    trace = read_one(written(tmp_path / "a.csv", f"{HEADER},Voltage (V)", *rows))
    assert_truth(trace)
    assert severities(trace)["repeated_names"] is Severity.WARNING


def test_german_names_states_and_marks(tmp_path: Path) -> None:
    words = [("Pause", "Laden", "Entladen")[int(np.sign(i))] for i in CURRENT_A]
    rows = [
        f"{t:.1f};{v:.6f};{abs(i):.1f};{w}".replace(".", ",")
        for t, v, i, w in of_record(TIME_S, VOLTAGE_V, CURRENT_A, words)
    ]
    header = "Zeit [s];Spannung [V];Strom [A];Zustand"
    trace = read_one(written(tmp_path / "a.csv", header, *rows, encoding="cp1252"))
    assert_truth(trace)
    assert "sign_from_state" in severities(trace)


def test_gamry_cycle_table_names_what_it_holds(tmp_path: Path) -> None:
    table = "CAPACITYCURVE\tTABLE|\tPt\tTime\tCharge|\t#\ts\tC|\t1\t3493\t4362.1"
    path = written(tmp_path / "a.dta", *gamry(table))
    with pytest.raises(InputError, match="CAPACITYCURVE"):
        readers.read(path)


def test_three_samples_of_steady_current_show_a_turned_sign(tmp_path: Path) -> None:
    header = "Test Time / s,Voltage / V,Current / A"
    rows = ["0,3.7,0.1", "1,3.6,0.1", "2,3.5,0.1"]
    trace = read_one(written(tmp_path / "a.bdf.csv", header, *rows))
    assert severities(trace)["sign_suspect"] is Severity.SUSPECT


def test_a_voltage_that_falls_with_the_current_shows_nothing(tmp_path: Path) -> None:
    header = "Test Time / s,Voltage / V,Current / A"
    rows = ["0,3.9,5.0", "1,3.8,3.0", "2,3.7,1.0"]
    trace = read_one(written(tmp_path / "a.bdf.csv", header, *rows))
    assert "sign_suspect" not in severities(trace)


@pytest.mark.parametrize("form", ["{:%d.%m.%Y %H:%M:%S},500", "{:%Y-%m-%dT%H:%M:%S}Z"])
@pytest.mark.parametrize("name", ["Time", "Date Time"])
def test_stamps_by_either_name(tmp_path: Path, form: str, name: str) -> None:
    rows = [
        f"{form.format(m)};{v:.6f};{i:.1f}"
        for m, v, i in of_record(moments(), VOLTAGE_V, CURRENT_A)
    ]
    path = written(tmp_path / "a.csv", f"{name};Voltage (V);Current (A)", *rows)
    assert_truth(read_one(path))


def test_names_without_a_field_are_said(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", f"{HEADER},Temperature (C)", *plain_rows())
    trace = read_one(path)
    assert_truth(trace)
    assert severities(trace)["fewer_fields_than_names"] is Severity.WARNING


def test_impedance_records_without_the_imaginary_part_are_refused(
    tmp_path: Path,
) -> None:
    header = "x1\tx2\tf/Hz\tZ'/Ohm\tZ''/Ohm"
    rows = [f"0\t0\t{f}\t{re}" for f, re in of_record(FREQUENCY_HZ, REAL_OHM)]
    with pytest.raises(InputError, match="fewer fields"):
        readers.read(written(tmp_path / "a.txt", header, *rows))


def test_sheets_whose_time_restarts_are_units_of_their_own(tmp_path: Path) -> None:
    rows = neware_rows(slice(None))
    path = book(tmp_path / "a.xlsx", one=rows, two=rows)
    first, second = readers.read(path)
    assert (first.unit_id, second.unit_id) == ("a one", "a two")
    for trace in (first, second):
        assert_truth(trace)
        assert severities(trace)["several_units"] is Severity.WARNING
