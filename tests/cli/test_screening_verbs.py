"""A labelled lot becomes a model; the model screens the rest."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from test_cli import battlife, lines

UNITS, ROWS = 14, 4


def written(path: Path, seed: int, kinds=("A", "B"), shift: float = 0.0) -> Path:
    """Write a lot whose state of health shows in its resistances, for each kind."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["kind", "unit", "soh", "R1", "R2", "R10"])
        for kind in kinds:
            for unit in range(UNITS):
                soh = rng.uniform(0.6, 1.0)
                for _ in range(ROWS):
                    level = rng.uniform(1.0, 1.2)
                    r = level * (2.0 - soh) + (3.0 if kind == "B" else 0.0) + shift
                    noise = rng.normal(0, 0.003, 3)
                    row = [r + noise[0], level + noise[1], r * level + noise[2]]
                    out.writerow([kind, f"{kind}{seed}-{unit}", soh, *row])
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def lot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lot")
    written(folder / "lot.csv", 1)
    written(folder / "rest.csv", 2)
    arguments = ["calibrate", "lot.csv", "--truth", "soh", "--group", "unit"]
    arguments += ["--by", "kind", "--features", "R*", "-o", "m.h5", "--json"]
    done = battlife(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "rows.json").write_text(done.stdout)
    again = battlife(*arguments[:-2], "again.h5", "--json", cwd=folder)
    assert again.returncode == 0, again.stderr
    return folder


def test_units_left_out_are_reported_by_kind_and_together(lot):
    rows = [json.loads(line) for line in (lot / "rows.json").read_text().splitlines()]
    assert [row["by"] for row in rows] == ["A", "B", None]
    assert [row["n_units"] for row in rows] == [UNITS, UNITS, 2 * UNITS]
    for row in rows:
        assert row["schema"] == 1
        assert 0 < row["mape"] < 0.1
        assert 0 < row["rmse"] < 0.1
        assert 0.5 < row["coverage"] <= 1.0
        assert row["width"] > 0


def test_the_same_lot_gives_the_same_model(lot):
    assert (lot / "m.h5").read_bytes() == (lot / "again.h5").read_bytes()


def test_every_row_of_the_rest_has_a_line_and_its_interval_holds(lot):
    done = battlife(
        "screen", "rest.csv", "--model", "m.h5", "--json", "--out", "o.csv", cwd=lot
    )
    assert done.returncode == 0, done.stderr
    rows = lines(done)
    assert [row["row"] for row in rows] == list(range(2 * UNITS * ROWS))
    truth = [float(r["soh"]) for r in read(lot / "rest.csv")]
    kept = [(r, t) for r, t in zip(rows, truth, strict=True) if r["status"] == "ok"]
    assert len(kept) > 0.9 * len(rows)
    assert all(r["low"] <= r["value"] <= r["high"] for r, _ in kept)
    assert np.mean([abs(r["value"] - t) for r, t in kept]) < 0.05
    assert np.mean([r["low"] <= t <= r["high"] for r, t in kept]) > 0.75
    for row in rows:
        if row["status"] == "refused":
            assert row["reasons"]
            assert row["value"] is None
    assert {row["soc_information"] for row in rows} == {"none"}
    table = read(lot / "o.csv")
    assert {r["soc_information"] for r in table} == {"none"}
    assert [int(r["row"]) for r in table] == [row["row"] for row in rows]
    assert {"value", "low", "high", "status", "reasons"} <= set(table[0])


def test_an_unknown_kind_and_a_row_far_out_are_refused(lot):
    written(lot / "other.csv", 3, kinds=("C",))
    rows = lines(battlife("screen", "other.csv", "--model", "m.h5", "--json", cwd=lot))
    assert {row["status"] for row in rows} == {"refused"}
    assert {"unknown_type"} == {r for row in rows for r in row["reasons"]}
    written(lot / "far.csv", 4, shift=9.0)
    rows = lines(battlife("screen", "far.csv", "--model", "m.h5", "--json", cwd=lot))
    assert {row["status"] for row in rows} == {"refused"}


def test_one_kind_declared_as_the_other_is_refused(lot):
    text = written(lot / "swap.csv", 5, kinds=("A",)).read_text()
    (lot / "swap.csv").write_text(text.replace("\nA,", "\nB,"))
    rows = lines(battlife("screen", "swap.csv", "--model", "m.h5", "--json", cwd=lot))
    assert {row["status"] for row in rows} == {"refused"}


def test_what_is_missing_is_said_and_other_rows_are_answered(lot):
    text = (lot / "rest.csv").read_text().splitlines()
    text[2] = ",".join([*text[2].split(",")[:4], "", "1"])
    (lot / "hole.csv").write_text("\n".join(text[:5]) + "\n")
    rows = lines(battlife("screen", "hole.csv", "--model", "m.h5", "--json", cwd=lot))
    assert [row["status"] for row in rows].count("refused") == 1
    assert rows[1]["reasons"] == ["feature_missing"]


@pytest.mark.parametrize("empty", ["", "nan"])
def test_a_column_without_one_number_refuses_every_row_by_name(lot, empty):
    head, *rows = (line.split(",") for line in (lot / "rest.csv").read_text().split())
    text = [",".join([*row[:4], empty, *row[5:]]) for row in rows[:5]]
    (lot / "blank.csv").write_text("\n".join([",".join(head), *text]) + "\n")
    done = battlife("screen", "blank.csv", "--model", "m.h5", "--json", cwd=lot)
    assert done.returncode == 0, done.stderr
    assert [r["reasons"] for r in lines(done)] == [["feature_missing"]] * 5


def rated(path: Path, source: Path, ah: dict[str, str]) -> Path:
    """Write a table again with the rated capacity of each kind beside its rows."""
    head, *rows = source.read_text().split()
    text = [f"{head},nominal_Ah", *(f"{row},{ah[row[0]]}" for row in rows)]
    path.write_text("\n".join(text) + "\n")
    return path


def test_another_rated_capacity_is_refused_by_kind(lot):
    rated(lot / "rated.csv", lot / "lot.csv", {"A": "10", "B": "25"})
    arguments = ["--truth", "soh", "--group", "unit", "--by", "kind"]
    done = battlife(
        *["calibrate", "rated.csv", *arguments, "--features", "R*", "-o", "r.h5"],
        cwd=lot,
    )
    assert done.returncode == 0, done.stderr

    def reasons(ah: dict[str, str], *others: str, model: str = "r.h5") -> dict:
        rated(lot / "said.csv", lot / "rest.csv", ah)
        done = battlife(
            *["screen", "said.csv", "--model", model, "--json", *others], cwd=lot
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, list] = {"A": [], "B": []}
        for row in lines(done):
            found[row["unit"][0]].append(row["reasons"])
        return {k: sum(r == ["rating_disagrees"] for r in v) for k, v in found.items()}

    every = UNITS * ROWS
    assert reasons({"A": "10", "B": "25"}) == {"A": 0, "B": 0}
    assert reasons({"A": "25", "B": "25"}) == {"A": every, "B": 0}
    assert reasons({"A": "", "B": "10"}) == {"A": 0, "B": every}
    # What is given on the command line goes before the column.
    given = reasons({"A": "10", "B": "10"}, "--nominal-ah", "25")
    assert given == {"A": every, "B": 0}
    # A lot of which no rating was stated takes any.
    assert reasons({"A": "10", "B": "3"}, model="m.h5") == {"A": 0, "B": 0}


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--truth", "nothing", "--group", "unit"], 3, "nothing"),
        (["--truth", "soh", "--group", "nobody"], 3, "nobody"),
        (["--truth", "soh", "--group", "unit", "--features", "X*"], 3, "X*"),
        (["--truth", "soh", "--group", "unit", "--features", "soh"], 3, "soh"),
        (["--truth", "soh"], 2, "--group"),
        (["--truth", "soh", "--group", "unit", "--coverage", "2"], 2, "--coverage"),
        (["--truth", "soh", "--group", "unit", "--estimator", "x"], 3, "'x'"),
    ],
)
def test_what_cannot_be_learned_is_refused_with_a_hint(lot, arguments, code, word):
    done = battlife("calibrate", "lot.csv", *arguments, "-o", "no.h5", cwd=lot)
    assert done.returncode == code
    assert word in done.stderr
    assert not (lot / "no.h5").exists()


def test_too_few_units_cannot_be_learned_from(lot):
    head = (lot / "lot.csv").read_text().splitlines()[: 1 + ROWS]
    (lot / "few.csv").write_text("\n".join(head) + "\n")
    done = battlife(
        *["calibrate", "few.csv", "--truth", "soh", "--group", "unit"],
        *["--features", "R*", "-o", "no.h5"],
        cwd=lot,
    )
    assert done.returncode == 5
    assert "1 labelled units" in done.stderr


def test_info_says_what_a_model_is_and_a_damaged_one_is_refused(lot):
    (row,) = lines(battlife("info", "m.h5", "--json", cwd=lot))
    assert row["format"] == "model"
    assert row["quantity"] == "soh"
    assert row["parts"] == {"A": UNITS, "B": UNITS}
    content = bytearray((lot / "m.h5").read_bytes())
    (lot / "cut.h5").write_bytes(content[: len(content) // 2])
    done = battlife("screen", "rest.csv", "--model", "cut.h5", cwd=lot)
    assert done.returncode == 3
    assert "cut.h5" in done.stderr


def test_a_value_of_a_small_lot_says_so(lot):
    rows = (lot / "lot.csv").read_text().splitlines()
    (lot / "small.csv").write_text("\n".join(rows[: 1 + 5 * ROWS]) + "\n")
    done = battlife(
        *["calibrate", "small.csv", "--truth", "soh", "--group", "unit"],
        *["--by", "kind", "--features", "R*", "-o", "small.h5"],
        cwd=lot,
    )
    assert done.returncode == 0, done.stderr
    done = battlife("screen", "lot.csv", "--model", "small.h5", "--json", cwd=lot)
    told = [row for row in lines(done) if row["status"] == "ok"]
    assert told
    assert all(row["reasons"] == ["few_units"] for row in told)
