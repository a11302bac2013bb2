"""Recordings of a lot become a model; recordings and grades of others use it."""

import csv
from pathlib import Path

import numpy as np
import pytest
from test_cli import battlife, lines

import charge_samples
import spectrum_samples

UNITS = 13


def write_charge(path: Path, soh: float, ohm: float, **others) -> None:
    trace = charge_samples.charged(soh, ohm, **others)
    names = {
        "time [s]": trace.time_s,
        "current [A]": trace.column("current_a"),
        "voltage [V]": trace.column("voltage_v"),
        "temperature [degC]": trace.column("temperature_degc"),
    }
    table = np.column_stack(list(names.values()))
    np.savetxt(path, table, "%.6g", ",", header=",".join(names), comments="")


def write_spectrum(path: Path, soh: float, contact: float, seed: int) -> None:
    (spectrum,) = spectrum_samples.swept(soh, seed, contact).spectra
    parts = (spectrum.frequency_hz, spectrum.z_re_ohm, -spectrum.z_im_ohm)
    head = "Frequency (Hz),Z' (ohm),-Z'' (ohm)"
    np.savetxt(path, np.column_stack(parts), "%.7g", ",", header=head, comments="")


def write_labels(path: Path, rows: list[tuple[str, str, float]]) -> None:
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["file", "cell_id", "capacity_mAh"])
        out.writerows(rows)


@pytest.fixture(scope="module")
def charges(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("charges")
    rng = np.random.default_rng(3)
    rows = []
    for unit in range(UNITS):
        soh, ohm = rng.uniform(0.6, 1.0), rng.uniform(0.03, 0.07)
        for again, start in enumerate(rng.uniform(0.05, 0.2, 2)):
            name = f"c{unit}-{again}.csv"
            write_charge(folder / name, soh, ohm, start=start)
            rows.append((name, f"cell {unit}", 2000.0 * soh))
    write_labels(folder / "labels.csv", rows)
    write_charge(folder / "new.csv", 0.75, 0.05)
    write_charge(folder / "cold.csv", 0.75, 0.05, degc=2.0)
    write_charge(folder / "late.csv", 0.75, 0.05, start=0.55)
    names = [name for name, _, _ in rows]
    done = battlife(
        *["calibrate", *names, "labels.csv", "--estimator", "partial_charge"],
        *["--truth", "capacity_mAh", "--group", "cell_id", "-o", "m.h5", "--json"],
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    (row,) = lines(done)
    # A cell of two files is one unit: it is left out as a whole.
    assert row["n_units"] == UNITS
    assert row["n_rows"] == 2 * UNITS
    assert row["mape"] < 0.02
    return folder


def test_a_new_recording_is_screened_and_others_are_refused_by_name(charges):
    done = battlife(
        *["screen", "new.csv", "cold.csv", "late.csv", "--model", "m.h5", "--json"],
        cwd=charges,
    )
    new, cold, late = lines(done)
    assert new["quantity"] == "capacity_mAh"
    assert new["unit_of_value"] == "mAh"
    assert new["soc_information"] == "none"
    assert abs(new["value"] - 1500) < 30
    assert new["low"] <= 1500 <= new["high"]
    assert cold["reasons"] == ["temperature_outside"]
    assert late["reasons"] == ["charge_began_late"]


def test_another_rated_capacity_than_the_labels_declare_is_refused(charges):
    text = (charges / "labels.csv").read_text().split("\n")
    rated = [text[0] + ",nominal_Ah", *(line + ",2.0" for line in text[1:] if line)]
    (charges / "rated.csv").write_text("\n".join(rated) + "\n")
    names = sorted(p.name for p in charges.glob("c*-*.csv"))
    done = battlife(
        *["calibrate", *names, "rated.csv", "--estimator", "partial_charge"],
        *["--truth", "capacity_mAh", "--group", "cell_id", "-o", "rated.h5"],
        cwd=charges,
    )
    assert done.returncode == 0, done.stderr
    use = ["--model", "rated.h5", "--json"]
    for more, status, reasons in (
        ([], "ok", None),
        (["--nominal-ah", "2.03"], "ok", None),
        (["--nominal-ah", "4"], "refused", ["rating_disagrees"]),
    ):
        (row,) = lines(battlife("screen", "new.csv", *use, *more, cwd=charges))
        assert row["status"] == status
        assert reasons in (None, row["reasons"])
        verb = ["estimate", "new.csv", "--method", "partial_charge"]
        (row,) = lines(battlife(*verb, *use, *more, cwd=charges))
        assert row["status"] == status
        assert bool(row["measurements"]) == (status == "ok")
        assert reasons in (None, row["reasons"])


def test_one_estimate_is_in_ah_with_its_conditions_and_a_picture(charges):
    done = battlife(
        *["estimate", "new.csv", "--method", "partial_charge", "--model", "m.h5"],
        *["--plot", "p.png", "--out", "curve.csv", "--json"],
        cwd=charges,
    )
    assert done.returncode == 0, done.stderr
    (row,) = lines(done)
    found = row["measurements"]["discharge_capacity_ah"]
    assert found["unit"] == "Ah"
    assert abs(found["value"] - 1.5) < 0.03
    assert found["low"] <= 1.5 <= found["high"]
    assert row["conditions"]["soc_information"] == "none"
    assert row["conditions"]["temperature_degc"] == 25.0
    assert (charges / "p.png").read_bytes().startswith(b"\x89PNG")
    with (charges / "curve.csv").open(encoding="utf-8-sig", newline="") as stream:
        points = list(csv.DictReader(stream))
    assert float(points[0]["cell_voltage_v"]) == 3.85
    assert float(points[-1]["cell_voltage_v"]) == 4.1


def test_a_model_of_charges_is_no_model_of_spectra(charges):
    write_spectrum(charges / "z.csv", 0.8, 0.02, 1)
    done = battlife("screen", "z.csv", "--model", "m.h5", cwd=charges)
    assert done.returncode != 0
    assert "current" in done.stderr


def test_spectra_of_a_lot_screen_a_new_one(tmp_path):
    rng = np.random.default_rng(4)
    rows = []
    for unit in range(UNITS):
        soh, contact = rng.uniform(0.6, 1.0), rng.uniform(0.01, 0.03)
        for again in range(2):
            name = f"z{unit}-{again}.csv"
            write_spectrum(tmp_path / name, soh, contact, 2 * unit + again)
            rows.append((name, f"cell {unit}", 2000.0 * soh))
    write_labels(tmp_path / "labels.csv", rows)
    write_spectrum(tmp_path / "new.csv", 0.85, 0.02, 77)
    done = battlife(
        *["calibrate", *(name for name, _, _ in rows), "labels.csv"],
        *["--estimator", "impedance_soh", "--truth", "capacity_mAh"],
        *["--group", "cell_id", "-o", "m.h5", "--json"],
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert lines(done)[0]["n_units"] == UNITS
    done = battlife(
        *["estimate", "new.csv", "--method", "impedance_soh", "--model", "m.h5"],
        *["--plot", "p.svg", "--json"],
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = lines(done)[0]["measurements"]["discharge_capacity_ah"]
    assert abs(found["value"] - 1.7) < 0.1
    assert found["low"] <= 1.7 <= found["high"]
    assert b"<svg" in (tmp_path / "p.svg").read_bytes()[:1000]
