"""MATLAB structures of vectors, and mappings of workbooks and MATLAB files."""

import numpy as np
import pytest
import scipy.io

from battlife.errors import FormatError, InputError
from battlife.readers import matlab_tables, nasa_mat
from battlife.readers.mapped import load_mapping
from battlife.readers.matlab import first_fields, first_variable
from support import SHARED

READER = matlab_tables.READER
HPPC = SHARED / "drive_hppc"
TIME = np.arange(0.0, 50.0)
CURRENT = np.where((TIME > 10) & (TIME < 30), -2.0, 0.0)
VOLTAGE = 3.7 + 0.03 * CURRENT
NAMED = {"Time_s": TIME, "Current_A": CURRENT, "Voltage_V": VOLTAGE}

MAPPING = """
[[column]]
source = "{0}"
quantity = "time_s"
unit = "min"
[[column]]
source = "{1}"
quantity = "current_a"
unit = "mA"
[[column]]
source = "{2}"
quantity = "voltage_v"
unit = "V"
"""


def saved(tmp_path, content, **options):
    path = tmp_path / "test.mat"
    scipy.io.savemat(path, content, **options)
    return path


def mapping(tmp_path, *names):
    path = tmp_path / "m.toml"
    path.write_text(MAPPING.format(*names))
    return load_mapping(path)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("nested", ["no", "once", "plain"])
def test_a_structure_of_named_vectors_is_one_trace(tmp_path, compressed, nested):
    content = {
        "no": {"cell": NAMED},
        "once": {"cell": {"raw": NAMED}},
        "plain": NAMED,
    }[nested]
    path = saved(tmp_path, content, do_compression=compressed)
    head = path.read_bytes()[:4096]
    assert READER.recognises(head, path.name)
    assert not nasa_mat.READER.recognises(head, path.name)
    (trace,) = READER.read(path)
    assert trace.unit_id == "test"
    np.testing.assert_array_equal(trace.time_s, TIME)
    np.testing.assert_array_equal(trace.columns["current_a"], CURRENT)
    np.testing.assert_array_equal(trace.columns["voltage_v"], VOLTAGE)


def test_each_structure_is_a_unit_named_by_what_tells_it_apart(tmp_path):
    shorter = {k: v[:40] for k, v in NAMED.items()}
    tests = {
        "T10": {"cellA": {"data": NAMED}, "cellB": {"data": shorter}},
        "T25": {"cellA": {"data": NAMED | {"note": np.arange(3.0)}}},
    }
    traces = READER.read(saved(tmp_path, {"lot": tests}))
    assert [t.unit_id for t in traces] == [
        "test T10 cellA",
        "test T10 cellB",
        "test T25 cellA",
    ]
    assert [t.n_samples for t in traces] == [50, 40, 50]
    codes = [{n.code for n in t.provenance.notices} for t in traces]
    assert all("several_units" in c for c in codes)
    assert "columns_not_used" in codes[2]


def test_an_array_of_structures_and_texts_per_row(tmp_path):
    rows = np.empty(2, dtype=object)
    rows[:] = [NAMED | {"Status": "R" * 50}, NAMED]
    traces = READER.read(saved(tmp_path, {"runs": rows}))
    assert [t.unit_id for t in traces] == ["test 1", "test 2"]


def test_what_has_no_unit_is_asked_for_and_a_mapping_states_it(tmp_path):
    bare = {"timeVec": TIME / 60, "currVec": 1e3 * CURRENT, "volVec": VOLTAGE}
    path = saved(tmp_path, {"cell": bare})
    with pytest.raises(InputError) as caught:
        READER.read(path)
    assert "timeVec" in caught.value.message
    assert "mapping" in caught.value.hint
    (trace,) = mapping(tmp_path, *bare).read(path)
    np.testing.assert_allclose(trace.time_s, TIME, atol=1e-9)
    np.testing.assert_allclose(trace.columns["current_a"], CURRENT)
    with pytest.raises(InputError, match="no structure"):
        mapping(tmp_path, "t", "i", "u").read(path)


def test_a_file_without_a_table_says_what_it_has(tmp_path):
    path = saved(tmp_path, {"cell": {"soc": TIME, "ocv": VOLTAGE}})
    with pytest.raises(FormatError) as caught:
        READER.read(path)
    assert "cell.soc" in caught.value.hint
    nothing = saved(tmp_path, {"answer": 42.0})
    with pytest.raises(FormatError) as caught:
        READER.read(nothing)
    assert "no vector" in caught.value.hint


def test_damage_is_an_input_error(tmp_path):
    path = saved(tmp_path, {"cell": NAMED}, do_compression=True)
    whole = path.read_bytes()
    for cut in (140, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError):
            READER.read(path)
        first_fields(whole[:cut])
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(200):
        bad = bytearray(whole)
        bad[int(rng.integers(126, len(bad)))] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(bad))
        first_variable(bytes(bad))
        try:
            READER.read(path)
        except InputError:
            refused += 1
    # What is left are flags and padding in front of the checked data.
    assert refused > 190


def test_nesting_ends(tmp_path):
    deep = NAMED
    for _ in range(20):
        deep = {"a": deep}
    with pytest.raises(FormatError):
        READER.read(saved(tmp_path, {"cell": deep}))


@pytest.mark.skipif(not HPPC.is_dir(), reason="the shared data are not at hand")
def test_lg_m50_and_samsung_files_are_read_by_a_mapping(tmp_path):
    text = MAPPING.replace('"min"', '"s"').replace('"mA"', '"A"')
    path = tmp_path / "m.toml"
    path.write_text(text.format("ProgTime", "Current", "Voltage"))
    pulses = load_mapping(path).read(HPPC / "lgm50_5Ah" / "LGM50_5Ah_Pulse.mat")
    assert len({t.unit_id for t in pulses}) == 216
    assert pulses[0].unit_id == "LGM50_5Ah_Pulse T0 SoC9 Cell19"
    path.write_text(text.format("timeVec", "currVec", "volVec"))
    rates = load_mapping(path).read(HPPC / "lgm50_5Ah" / "LGM50_5Ah_RateTest.mat")
    assert len(rates) == 16
    slow = next(t for t in rates if t.unit_id.endswith("T25 cRate_0p1C"))
    hours = np.diff(slow.time_s, append=slow.time_s[-1]) / 3600
    discharged = -(np.minimum(slow.columns["current_a"], 0.0) * hours).sum()
    assert discharged == pytest.approx(4.94, rel=0.02)
    path.write_text(text.format("Time", "Current", "Voltage"))
    (pulse,) = load_mapping(path).read(
        HPPC / "samsung_inr21700" / "sample_hppc_pulse.xlsx"
    )
    assert pulse.n_samples == 403
    assert pulse.time_s[-1] == pytest.approx(39.958)
    with pytest.raises(InputError, match="no sheet"):
        mapping(tmp_path, "t", "i", "u").read(
            HPPC / "samsung_inr21700" / "sample_hppc_pulse.xlsx"
        )
