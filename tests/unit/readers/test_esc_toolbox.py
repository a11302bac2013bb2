"""Files of the ESC toolbox, made here: its tests and its models."""

import numpy as np
import pytest
from scipy.io import savemat

from battlife.errors import InputError
from battlife.pipeline.sources import LoadOptions, load_units_of
from battlife.readers.esc_model import is_esc_model, read_esc_numbers
from battlife.readers.esc_toolbox import READER
from battlife.readers.matlab import first_variable
from battlife.readers.nasa_mat import READER as NASA


def script(start, n, current):
    return {
        "time": start + np.arange(float(n)),
        "voltage": np.linspace(4.1, 3.5, n),
        "current": np.full(n, current),
        "chgAh": np.zeros(n),
        "disAh": np.linspace(0, 1, n),
        "soc": np.linspace(1, 0.5, n),
    }


def dyn_file(folder, name="X_DYN_50_P05.mat", compressed=True, **change):
    scripts = {
        "script1": script(100.0, 50, 2.0),
        "script2": script(0.0, 40, 1.0),
        "script3": script(500.0, 30, -1.5),
    }
    scripts["script1"] |= change
    savemat(folder / name, {"DYNData": scripts}, do_compression=compressed)
    return folder / name


@pytest.mark.parametrize("compressed", [True, False])
def test_a_test_is_read_with_its_sign_and_temperature(tmp_path, compressed):
    path = dyn_file(tmp_path, compressed=compressed)
    head = path.read_bytes()[:4096]
    assert first_variable(head) == "DYNData"
    assert READER.recognises(head, path.name)
    assert not NASA.recognises(head, path.name)
    (trace,) = READER.read(path)
    assert trace.n_samples == 120
    assert trace.segment_start.tolist() == [0, 50]
    assert trace.column("current_a")[[0, 60, 100]].tolist() == [-2.0, -1.0, 1.5]
    degc = trace.column("ambient_temperature_degc")
    assert degc[[0, 49, 50, 119]].tolist() == [5.0, 5.0, 25.0, 25.0]
    assert "soc" not in trace.columns
    (unit,) = load_units_of(path, LoadOptions())
    assert unit.trace.unit_id == "X_DYN_50_P05"


@pytest.mark.parametrize(
    ("name", "degc"), [("A_N15.mat", -15.0), ("A_p25.mat", 25.0), ("A.mat", None)]
)
def test_the_temperature_is_in_the_name_or_nowhere(tmp_path, name, degc):
    (trace,) = READER.read(dyn_file(tmp_path, name))
    if degc is None:
        found = trace.column("ambient_temperature_degc")
        assert np.isnan(found[:50]).all()
    else:
        assert trace.column("ambient_temperature_degc")[0] == degc


def test_columns_of_unlike_length_are_refused(tmp_path):
    path = dyn_file(tmp_path, voltage=np.ones(3))
    with pytest.raises(InputError, match="script1.voltage has 3 values"):
        READER.read(path)


def test_a_cut_file_is_refused(tmp_path):
    path = dyn_file(tmp_path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError):
        READER.read(path)


def model_file(folder, **change):
    two = np.ones(2)
    numbers = {
        "SOC": np.linspace(0, 1, 11),
        "OCV0": np.linspace(3, 4, 11),
        "OCVrel": np.zeros(11),
        "temps": np.array([25.0, 5.0]),
        "R0Param": np.array([0.01, 0.03]),
        **{
            n: two
            for n in (
                "QParam",
                "etaParam",
                "GParam",
                "MParam",
                "M0Param",
                "RParam",
                "RCParam",
            )
        },
    } | change
    savemat(folder / "m.mat", {"model": numbers})
    return folder / "m.mat"


def test_a_model_is_read_in_order_of_temperature(tmp_path):
    path = model_file(tmp_path)
    assert is_esc_model(path)
    assert not is_esc_model(dyn_file(tmp_path))
    assert not is_esc_model(tmp_path / "none.mat")
    numbers, source = read_esc_numbers(path)
    assert numbers["temps"].tolist() == [5.0, 25.0]
    assert numbers["R0Param"].tolist() == [0.03, 0.01]
    assert source.format == "esc_model"


@pytest.mark.parametrize(
    "change",
    [
        {"R0Param": np.ones(3)},
        {"RParam": np.ones((2, 2))},
        {"MParam": np.array([np.nan, 1.0])},
        {"QParam": "text"},
    ],
)
def test_a_model_that_does_not_fit_is_refused(tmp_path, change):
    with pytest.raises(InputError):
        read_esc_numbers(model_file(tmp_path, **change))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"MATLAB 5.0 MAT-file",
        b"MATLAB 5.0 MAT-file".ljust(128) + b"\x0f\0\0\0\xff\xff\xff\xff" + b"x" * 99,
        b"MATLAB 5.0 MAT-file".ljust(128) + b"\x0e\0\0\0" + b"\xff" * 60,
        b"MATLAB 5.0 MAT-file".ljust(128) + b"\x07\0\0\0" + b"\0" * 60,
    ],
)
def test_hostile_heads_have_no_variable(head):
    assert first_variable(head) == ""
