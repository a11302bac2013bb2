"""Real exports against the counts and extremes recorded in the index of their source.

The figures were counted with other programs than ours (vendor text exports, pandas,
galvani, fastnda), see the README beside the shared data.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from battlife import readers
from battlife.model import STEP_KINDS, Trace
from support import DATASETS, shared

NAN = float("nan")
EXPORTS = DATASETS / "exports"
DEMO = DATASETS / "demo"

# path, samples, V first, V last, V min, V max, A min, A max, Ah charge, Ah discharge
SAMPLED = [
    ("exports/arbin_xlsx/bs542_004_gr_li_50ua_50mv_1v_191020_Channel_11.xlsx", 4526,
     2.6372986, 0.072286606, 0.049993515, 2.6409092, -5.0026807e-05, 5.2616e-05,
     0.0057027028, 0.011054898),
    ("demo/arbin/20210210_FC_01_cc_01.res", 7218, 3.0511653, 3.3192697, 2.9998784,
     4.2000518, -0.00018127612, 0.00018162413, 0.0038185596, 0.0033240358),
    ("exports/arbin_res/mits7-0.res", 8, 0.13026524, 0.13092709, 0.13026524,
     0.13094234, 0.0, 0.0, 0.0, 0.0),
    ("exports/biologic_mpr/250116_kigr_gen6_01_02_GCPL_CD8.mpr", 3791, 0.2883639,
     3.8382881, 0.28828517, 4.900651, NAN, NAN, 0.0023501082, 0.0018495861),
    ("exports/neware_nda/2-1-6_61[07005012].nda", 15567, 4.0297885, 3.9667845,
     3.9667029, 4.0883098, -1.700096, -0.099689156, NAN, NAN),
    ("exports/neware_nda/nda_v22.nda", 1380, 1.8104999, 2.4001, 1.8102, 2.4001, 0.0,
     0.010500001, 0.10804135, NAN),
    ("demo/neware/TESTCELL0001-B2-2025-M50T_NewareNDA_Investigation.ndax", 77745,
     3.5870252, 2.848928, 2.4989834, 4.2003274, -5.0003161, 5.0003414, 4.7606626,
     4.7237992),
    ("exports/neware_ndax/TESTCELL0001-Test_Data_Collection_Ndc17.ndax", 80, 3.5871816,
     3.5860534, 3.5659208, 3.6111588, -0.99998784, 0.99998832, 0.0041665384,
     0.0041665309),
    ("exports/neware_ndax/nw4-120-1-6-53.ndax", 18700, 1.6627951, 3.4967005, 1.6461266,
     4.99997, -0.00194012, 0.0019401599, 0.0016405453, 0.00032361993),
    ("exports/gamry_dta/chronoa_de_data.dta", 10, -0.0005, 0.4, -0.0005, 0.499669,
     -2e-08, 1.40441e-08, NAN, NAN),
    ("exports/gamry_dta/ocp_data.dta", 21, 0.0205436, 0.0345678, 0.0201501, 0.0345678,
     NAN, NAN, NAN, NAN),
    ("exports/gamry_dta/ocvcurve_data.dta", 11, 0.398788, 0.250361, 0.250361, 0.398788,
     -4.2422e-05, 6.55358e-07, NAN, NAN),
]  # fmt: skip

COUNTS = [
    ("cycler_exports/20160805_test001_45_cc_01.res", 10261),
    ("cycler_exports/20260302_IFE_BTS85_2_9_8_1.ndax", 252951),
    ("cycler_exports/test.ndax", 1464),
    ("cycler_exports/00_test_04_MB_C01.mpr", 1501),
]

# path, points of each spectrum, first and last frequency in Hz, first Z in ohm
SPECTRA = [
    ("chinstruments_txt/exampleDataCHInstruments.txt", [73], 9.961e4, 0.1,
     98.91 - 2.748j),
    ("princeton_applied/exampleDataVersaStudio.par", [61], 1e5, 0.02154435,
     55.31571 + 4.575431j),
    ("zplot_z/Circuit2_EIS_2.z", [56], 3e5, 1.0, 147.68 - 11.662j),
    ("zplot_z/exampleDataZPlot_noComments.z", [31], 3e5, 3e2, 642.62 - 85.821j),
]  # fmt: skip


def only(path: Path) -> Trace:
    (trace,) = readers.read(path)
    return trace


def codes(trace: Trace) -> set[str]:
    return {notice.code for notice in trace.provenance.notices}


@pytest.mark.parametrize("row", SAMPLED, ids=lambda row: Path(row[0]).name)
def test_samples(row: tuple[object, ...]) -> None:
    path, n, first, last, low, high, least, most, charge, discharge = row
    trace = only(DATASETS / str(path))
    assert trace.n_samples == n
    voltage = trace.column("voltage_v")
    for found, expected in (
        (voltage[0], first),
        (voltage[-1], last),
        (np.nanmin(voltage), low),
        (np.nanmax(voltage), high),
    ):
        assert found == pytest.approx(expected, rel=1e-6)
    if np.isnan(least):
        assert "current_a" not in trace.columns
    else:
        assert trace.column("current_a").min() == pytest.approx(least, rel=1e-6)
        assert trace.column("current_a").max() == pytest.approx(most, rel=1e-6)
    for name, expected in (
        ("charge_capacity_ah", charge),
        ("discharge_capacity_ah", discharge),
    ):
        if not np.isnan(expected):
            assert trace.column(name).max() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("path", "n"), COUNTS)
def test_counts(path: str, n: int) -> None:
    assert only(DATASETS / path).n_samples == n


@pytest.mark.parametrize(
    ("path", "points", "first", "last", "impedance"),
    SPECTRA,
    ids=lambda value: Path(value).name if isinstance(value, str) else "",
)
def test_spectra(
    path: str, points: list[int], first: float, last: float, impedance: complex
) -> None:
    spectra = only(EXPORTS / path).spectra
    assert [len(s) for s in spectra] == points
    assert spectra[0].frequency_hz[0] == pytest.approx(first)
    assert spectra[-1].frequency_hz[-1] == pytest.approx(last, rel=0.01)
    assert spectra[0].z_re_ohm[0] == pytest.approx(impedance.real)
    assert spectra[0].z_im_ohm[0] == pytest.approx(impedance.imag)


def test_biologic_gpl_samples() -> None:
    trace = only(shared("exports/biologic_mpr/gcpl.pr_182.1.mpr"))
    assert trace.n_samples == 2533
    assert trace.column("voltage_v")[-1] == pytest.approx(1.1594497)
    assert trace.column("charge_capacity_ah").max() == pytest.approx(0.002616072)
    assert trace.column("discharge_capacity_ah").max() == pytest.approx(0.0032519601)
    assert "no_current" in codes(trace)


def test_biologic_gpl_impedance() -> None:
    trace = only(shared("exports/biologic_mpr/peis.issue_149.mpr"))
    assert trace.n_samples == 84
    assert [len(s) for s in trace.spectra] == [21, 21, 21, 21]
    assert trace.column("current_a").max() == pytest.approx(2.6366208e-05)
    assert trace.spectra[0].z_im_ohm.min() < 0


def test_ivium_gpl() -> None:
    spectra = only(shared("exports/ivium/data.ids")).spectra
    assert [len(s) for s in spectra] == [29, 29]
    assert spectra[0].frequency_hz[0] == 1e4
    assert spectra[0].z_re_ohm[0] == 109.009
    assert spectra[0].z_im_ohm[0] == -26.5557


def test_palmsens_gpl() -> None:
    (spectrum,) = only(shared("exports/palmsens/data.pssession")).spectra
    assert len(spectrum) == 51
    # Stored as -Z'': the file's own admittance, +1.129e-6 S, says it is capacitive.
    assert spectrum.z_im_ohm[0] == pytest.approx(-120.57488752752744)


def test_declared_points_that_are_missing_are_reported() -> None:
    trace = only(EXPORTS / "zplot_z/exampleDataZPlot_noComments.z")
    assert "missing_records" in codes(trace)
    trace = only(EXPORTS / "gamry_dta/chronoa_de_data.dta")
    assert "missing_records" in codes(trace)


def test_neware_wall_clock_that_goes_back_is_reported_and_time_does_not() -> None:
    trace = only(DATASETS / "cycler_exports/20260302_IFE_BTS85_2_9_8_1.ndax")
    assert "wall_clock_goes_back" in codes(trace)
    assert (np.diff(trace.column("unix_time_s")) < 0).sum() == 8
    assert trace.n_segments == 1
    assert (np.diff(trace.time_s) >= 0).all()


def test_neware_says_nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    only(DATASETS / "cycler_exports/20260302_IFE_BTS85_2_9_8_1.ndax")
    assert capfd.readouterr() == ("", "")


def test_neware_names_the_cell_by_its_barcode() -> None:
    trace = only(EXPORTS / "neware_ndax/TESTCELL0001-Test_Data_Collection_Ndc17.ndax")
    assert trace.unit_id == "TESTCELL0001"
    assert trace.start_utc is not None
    assert trace.start_utc.isoformat(timespec="seconds") == "2025-09-24T14:20:56+00:00"


def test_nebula_reference_discharge() -> None:
    path = DEMO / "pulsebat/LMO_C_25_B_101_SOC_5-50_Part_1-1_ID_515092901207.xlsx"
    trace = only(path)
    assert trace.n_samples == 0
    assert trace.steps is not None
    assert len(trace.steps) == 2024
    assert "missing_records" in codes(trace)
    assert STEP_KINDS[trace.steps.kind[3]] == "discharge"
    assert trace.steps.column("discharge_capacity_ah")[3] == 14.0409
    assert trace.steps.column("start_current_a")[3] == -25.0027
    assert trace.steps.column("duration_s")[3] == 33 * 60 + 41.9
    assert trace.steps.column("charge_capacity_ah")[1] == 6.0516


def test_nebula_capacities_of_all_labelled_cells() -> None:
    labels = shared("pulsebat/tester_exports/labels.csv")
    with labels.open() as file:
        for row in csv.DictReader(file):
            trace = only(labels.with_name(row["file"]))
            assert trace.steps is not None
            found = trace.steps.column("discharge_capacity_ah")[3]
            assert found == float(row["capacity_Ah"])


def test_calce_workbook() -> None:
    trace = only(shared("calce_cs2/original_arbin_xlsx/CS2_35_2_4_11.xlsx"))
    assert trace.n_samples == 5983
    assert trace.provenance.header["channel"] == "1-008"


def test_nasa_operations() -> None:
    trace = only(DEMO / "nasa/B0045.mat")
    steps = trace.steps
    assert steps is not None
    assert len(steps) == 184
    assert trace.n_samples == 125484
    discharge = steps.kind == STEP_KINDS.index("discharge")
    assert int(discharge.sum()) == 72
    assert int((steps.kind == STEP_KINDS.index("impedance")).sum()) == 40
    assert trace.n_segments == 144
    assert set(steps.column("ambient_temperature_degc")[discharge]) == {4.0}
    for k in np.flatnonzero(discharge)[5:10]:
        segment = trace.segments()[int(steps.column("segment")[k])]
        assert np.nanmin(trace.column("current_a")[segment]) < -0.9


def test_nasa_capacities_are_those_of_the_labels() -> None:
    labels = shared("nasa_pcoe/capacity_labels.csv")
    traces: dict[str, Trace] = {}
    with labels.open() as file:
        for row in csv.DictReader(file):
            cell = row["cell"]
            if cell not in traces:
                traces[cell] = only(labels.with_name(f"{cell}.mat"))
            steps = traces[cell].steps
            assert steps is not None
            found = steps.column("discharge_capacity_ah")[int(row["op_index"])]
            expected = float(row["capacity_to_2V7_Ah"] or "nan")
            assert found == pytest.approx(expected, rel=1e-9, nan_ok=True)
