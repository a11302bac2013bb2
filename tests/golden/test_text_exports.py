"""Every text export against the counts and extremes recorded with the files."""

from pathlib import Path

import numpy as np
import pytest

from battlife import readers
from battlife.errors import InputError
from battlife.model import Severity, Trace
from support import DATASETS, shared

Pair = tuple[float | None, float | None]

# path, rows, voltage (start, end, min, max) in V, current (min, max) in A, largest
# capacity of the tester's counter (charge, discharge) in Ah; from the index of the
# exports, which counted them without any code of this project.
EXPORTS = [
    (
        "arbin_csv/FastCharge_000025_CH8.csv",
        248,
        (3.3011441, 3.3009677, 3.3009267, 3.3011565),
        (0.0, 0.0),
        (0.0, 0.0),
    ),
    (
        "arbin_csv/sample_data_arbin.csv",
        13,
        (3.534595, 3.599601, 3.534552, 3.599601),
        (0.0, 2.650138),
        (0.000400839, 2.04379e-05),
    ),
    (
        "batteryarchive_csv/CALCE_CX2-33_prism_LCO_25C_0-100_0.5-0.5C_d_timeseries.csv",
        15,
        (3.843, 4.032, 3.843, 4.032),
        (0.0, 0.675),
        (0.059, 0.0),
    ),
    (
        "bdf_csv/SINTEF__G20M7-202512-Gru6mV__20251228__C30__25degC__Neware.bdf.csv",
        17587,
        (3.3067002, 3.1384258, 2.9999342, 4.2001567),
        (-0.16502713, 0.16505099),
        (3.8021548, 3.7160342),
    ),
    (
        "bdf_csv/SINTEF__LiGrR2032__2024-04-30__25degC__Landt.bdf.csv",
        25162,
        (2.9215, 0.1086, 0.01, 2.9215),
        (-0.0002, 0.0002),
        (0.0032, 0.0063),
    ),
    (
        "biologic_mpt/Sample_data_biologic_no_header.mpt",
        13,
        (2.9344745, 2.9814022, 2.9343958, 2.9814022),
        (0.0, 0.0),
        (0.0, 0.0),
    ),
    (
        "biologic_mpt/exampleDataBioLogic.mpt",
        43,
        (-0.00028677555, -0.00028034937, -0.00074513012, 0.00090237538),
        (-4.9602441e-05, -3.3789847e-05),
        (None, None),
    ),
    (
        "biologic_mpt/gcpl.issue_149.mpt",
        132,
        (3.4228721, 3.4320145, 3.4137828, 3.4466355),
        (-2.9999324e-05, 3.0011416e-05),
        (8.3361629e-08, 8.3329386e-08),
    ),
    (
        "biologic_txt/Sample_data_biologic_CA1.txt",
        1397,
        (3.5180547, 3.4854481, 3.4854481, 3.5180547),
        (-0.90006274, 0.0),
        (0.0, 0.032371351),
    ),
    (
        "generic_csv/ici_discharge.csv",
        21410,
        (4.0924668, 3.0659346, 3.0107791, 4.0924668),
        (-0.001892711, 0.0),
        (None, None),
    ),
    (
        "landt/SINTEF__LiGrR2032__2024-04-30__25degC__Landt.csv",
        25162,
        (2.9215, 0.1086, 0.01, 2.9215),
        (-0.0002, 0.0002),
        (0.0032, 0.0063),
    ),
    (
        "maccor_csv/sample_data_maccor.csv",
        15,
        (3.668, 3.716, 3.668, 3.716),
        (None, None),
        (None, None),
    ),
    (
        "maccor_raw/PreDiag_000229_000229_truncated.034",
        4061,
        (3.4592203, 4.1802091, 2.7000076, 4.2000458),
        (-0.69855802, 4.8455024),
        (4.7733511, 4.7626134),
    ),
    (
        "maccor_raw/PredictionDiagnostics_000151_paused.052",
        332,
        (3.8682383, 3.8625162, 3.8625162, 3.8682383),
        (-4.8409247, -4.8393225),
        (None, 0.023634906),
    ),
    (
        "maccor_raw/maccor_test_file_4267-66-6519.041",
        74,
        (3.9080644, 3.9117266, 3.9080644, 3.9117266),
        (0.0, 0.0),
        (None, None),
    ),
    (
        "maccor_txt/maccor_two.txt",
        213,
        (0.1377, 0.149, 0.1377, 0.1514),
        (0.0, 0.0),
        (None, None),
    ),
    (
        "novonix_csv/test_Nova_Form-CH01-01_short.csv",
        3942,
        (0.13736417, 3.4274415, 0.1371027, 3.4274415),
        (0.0, 0.053901047),
        (0.029467916, None),
    ),
    (
        "pec_csv/pec.csv",
        16255,
        (3.272632, 3.7875572, 2.493521, 3.799792),
        (-1.6406, 1.6405),
        (44.424915, 44.351991),
    ),
]

# Files that may not be copied into the project: read from beside the checkout.
NOT_COPIED = ("biologic_mpt/gcpl.issue_149.mpt",)

# The share by which the last digit of the recorded value may differ.
DIGITS = 2e-7


def located(relative: str) -> Path:
    if relative in NOT_COPIED:
        return shared(f"exports/{relative}")
    return DATASETS / "exports" / relative


def codes(trace: Trace) -> dict[str, Severity]:
    return {n.code: n.severity for n in trace.provenance.notices}


@pytest.mark.parametrize(
    ("relative", "n_rows", "voltage", "current", "capacity"),
    EXPORTS,
    ids=[row[0] for row in EXPORTS],
)
def test_export_holds_what_was_counted(
    relative: str,
    n_rows: int,
    voltage: tuple[float, ...],
    current: Pair,
    capacity: Pair,
) -> None:
    (trace,) = readers.read(located(relative))
    assert trace.n_samples == n_rows
    v = trace.column("voltage_v")
    found = (v[0], v[-1], np.nanmin(v), np.nanmax(v))
    assert found == pytest.approx(voltage, rel=DIGITS, abs=1e-11)
    if current[0] is None:
        assert "current_a" not in trace.columns
        return
    i = trace.column("current_a")
    assert (np.nanmin(i), np.nanmax(i)) == pytest.approx(current, rel=DIGITS, abs=1e-11)
    for way, truth in zip((1, -1), capacity, strict=True):
        if truth is not None:
            assert largest_capacity(trace, way) == pytest.approx(truth, rel=1e-6)


def largest_capacity(trace: Trace, way: int) -> float:
    name = "charge_capacity_ah" if way > 0 else "discharge_capacity_ah"
    if name in trace.columns:
        return float(np.nanmax(trace.columns[name]))
    rows = trace.column("current_a") * way > 0
    return float(np.nanmax(trace.column("step_capacity_ah")[rows], initial=0.0))


@pytest.mark.parametrize(
    ("relative", "reader", "n_rows"),
    [
        ("cycler_exports/maccor_002.txt", "maccor", 7446),
        ("cycler_exports/Test25205.csv", "pec", 489),
        ("cycler_exports/nw_regular_export_ife_example.csv", "neware_csv", 9295),
        ("demo/leaf_ornl/1C-Discharge-Bitrode-data.csv", "bitrode_bare", 2287),
        ("leaf_ornl/NissanLeaf-cell-Cycling-10C-24C-40C.csv", "bitrode", 22596),
        ("leaf_ornl/NissanLeaf-cell-Low-Current-HPPC-10C.csv", "bitrode_bare", 13360),
        ("leaf_ornl/NissanLeaf-cell-Low-Current-HPPC-25C-2.csv", "bitrode", 13248),
    ],
)
def test_cycler_file_is_recognised_and_complete(
    relative: str, reader: str, n_rows: int
) -> None:
    path = DATASETS / relative
    assert readers.detect(path).name == reader
    (trace,) = readers.read(path)
    assert trace.n_samples == n_rows
    assert trace.n_segments == 1
    assert not trace.provenance.suspect


def test_maccor_without_units_is_suspect_and_has_no_current() -> None:
    path = DATASETS / "exports/maccor_csv/sample_data_maccor.csv"
    (trace,) = readers.read(path)
    assert codes(trace)["unit_unknown"] is Severity.SUSPECT
    assert not set(trace.columns) & {"current_a", "step_capacity_ah"}


def test_maccor_time_in_minutes_is_proved_by_its_wall_clock() -> None:
    path = DATASETS / "exports/maccor_txt/maccor_two.txt"
    (trace,) = readers.read(path)
    # 212 records at one-minute stamps, 11:23:46 to 14:55:46.
    assert trace.time_s[-1] == pytest.approx(3 * 3600 + 32 * 60)
    assert {"unit_proved", "truncated_record"} <= set(codes(trace))


def test_maccor_current_takes_its_sign_from_the_state() -> None:
    (trace,) = readers.read(DATASETS / "cycler_exports/maccor_002.txt")
    i = trace.column("current_a")
    # 3,668 records of state C and 3,417 of state D in the file.
    assert int((i > 0).sum()) == 3668
    assert int((i < 0).sum()) == 3417
    assert trace.time_s[-1] == pytest.approx(3809.841833 * 60)


def test_cycle_count_of_two_pi_is_left_out() -> None:
    name = "SINTEF__G20M7-202512-Gru6mV__20251228__C30__25degC__Neware.bdf.csv"
    (trace,) = readers.read(DATASETS / "exports/bdf_csv" / name)
    assert "cycle_index" not in trace.columns
    assert "count_not_whole" in codes(trace)
    assert trace.start_utc is not None
    assert trace.start_utc.timestamp() == pytest.approx(1766393064.885)


def test_impedance_export_has_its_spectrum() -> None:
    (trace,) = readers.read(DATASETS / "exports/biologic_mpt/exampleDataBioLogic.mpt")
    (spectrum,) = trace.spectra
    assert len(spectrum) == 43
    assert spectrum.frequency_hz[0] == pytest.approx(1000.3201)
    assert spectrum.z_re_ohm[0] == pytest.approx(65.470886)
    # The file gives -Im(Z) = 0.38998979.
    assert spectrum.z_im_ohm[0] == pytest.approx(-0.38998979)


def test_neware_hierarchy_becomes_steps() -> None:
    (trace,) = readers.read(
        DATASETS / "cycler_exports/nw_regular_export_ife_example.csv"
    )
    steps = trace.steps
    assert steps is not None
    assert steps.column("charge_capacity_ah")[1] == 0.02256
    assert steps.column("discharge_capacity_ah")[3] == 0.33067
    assert steps.column("duration_s")[3] == 41 * 60 + 50
    assert trace.time_s[-1] == 27 * 3600 + 55 * 60 + 43
    assert trace.column("cycle_index")[415] == 2


def test_unit_is_named_by_the_file() -> None:
    (maccor,) = readers.read(
        DATASETS / "exports/maccor_raw/PreDiag_000229_000229_truncated.034"
    )
    (pec,) = readers.read(DATASETS / "cycler_exports/Test25205.csv")
    assert maccor.unit_id == "000229"
    assert pec.unit_id == "345626_9356111_33_6"


def test_per_cycle_summary_is_refused_with_a_hint() -> None:
    with pytest.raises(InputError, match="267 rows") as caught:
        readers.read(DATASETS / "exports/batterydata_csv/p492-13-summary.csv")
    assert "raw" in caught.value.hint


def test_table_without_time_names_the_key_that_helps() -> None:
    with pytest.raises(InputError, match="22043 rows of 4 columns") as caught:
        readers.read(DATASETS / "demo/leaf_ornl/Temperature-1C-discharge.lvm")
    assert "period_s" in caught.value.hint


def test_calce_parquet_by_its_column_names() -> None:
    (trace,) = readers.read(shared("calce_cs2/CS2_35_timeseries.parquet"))
    assert trace.n_samples == 266914
    assert trace.n_segments == 25
