"""The command line as a stranger runs it: a process, files in, text and codes out."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support import DATASETS

DEMO = DATASETS / "demo"
LEAF = DEMO / "leaf_ornl" / "1C-Discharge-Bitrode-data.csv"
NEWARE = next((DEMO / "neware").glob("*.ndax"))
NEBULA = next((DEMO / "pulsebat").glob("*.xlsx"))


def battlife(
    *arguments: object, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "battlife", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(row["schema"] == 1 for row in found)
    return found


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of logs, graded once into archives."""
    folder = tmp_path_factory.mktemp("plant")
    logs = folder / "logs"
    for name in ("leaf_ornl", "neware", "pulsebat"):
        shutil.copytree(DEMO / name, logs / name)
    (logs / "report.pdf").write_bytes(b"%PDF-1.7\n" + bytes(200))
    (logs / "again.ndax").write_bytes(NEWARE.read_bytes())
    (logs / "cut.xlsx").write_bytes(NEBULA.read_bytes()[:9000])
    done = battlife(
        "grade", "logs", "--operator", "ana", "--json", "--out", "t.csv", cwd=folder
    )
    (folder / "rows.json").write_text(done.stdout)
    (folder / "code").write_text(str(done.returncode))
    (folder / "stderr").write_text(done.stderr)
    return folder


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(r) for r in (folder / "rows.json").read_text().splitlines()]


def test_help_and_version(tmp_path: Path) -> None:
    assert "grade" in battlife("--help", cwd=tmp_path).stdout
    assert battlife("--version", cwd=tmp_path).stdout.startswith("battlife ")
    assert battlife("grade", "--nonsense", cwd=tmp_path).returncode == 2


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom battlife.cli import run\nrun(['--help'])\n"
        "heavy = {'numpy', 'numba', 'scipy', 'polars', 'h5py', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_info(tmp_path: Path) -> None:
    (row,) = lines(battlife("info", LEAF, "--json", cwd=tmp_path))
    assert row["n_samples"] == 2287
    assert row["voltage_v"]["max"] == pytest.approx(4.201)
    shown = battlife("info", LEAF, cwd=tmp_path)
    assert "2287" in shown.stdout
    missing = battlife("info", "nowhere.csv", LEAF, "--json", cwd=tmp_path)
    assert missing.returncode == 3
    assert [r.get("status", "ok") for r in lines(missing)] == ["error", "ok"]
    assert "Traceback" not in missing.stderr


@pytest.mark.parametrize("content", [b"", b"hello", bytes(5000), b"%PDF-1.4\n"])
def test_foreign_files_are_errors_with_hints(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    for verb in (["info"], ["grade"], ["estimate", "--method", "capacity"], ["plot"]):
        done = battlife(verb[0], "x.csv", *verb[1:], cwd=tmp_path)
        assert done.returncode == 3, (verb, done.stderr)
        assert "Traceback" not in done.stderr


def test_formats(tmp_path: Path) -> None:
    names = {r["name"] for r in lines(battlife("formats", "--json", cwd=tmp_path))}
    assert {"capacity", "dcir", "neware_nda", "nasa_mat", "bdf", "archive"} <= names


def test_estimate_capacity(tmp_path: Path) -> None:
    done = battlife("estimate", LEAF, "--method", "capacity", "--json", cwd=tmp_path)
    found = lines(done)
    assert [r["cycle"] for r in found] == [0, 1, 2, 3]
    values = [r["measurements"]["discharge_capacity_ah"]["value"] for r in found]
    assert values == pytest.approx([30.33, 30.34, 30.30, 30.29], abs=0.01)
    assert battlife(
        "estimate", LEAF, "--method", "nonsense", cwd=tmp_path
    ).returncode == 2  # fmt: skip
    unreached = battlife(
        "estimate", LEAF, "--method", "capacity", "--set", "cutoff_v=1.5", "--json",
        cwd=tmp_path,
    )  # fmt: skip
    assert [r["reasons"] for r in lines(unreached)] == [["cutoff_not_reached"]] * 4
    assert unreached.returncode == 5
    wrong = battlife(
        "estimate", LEAF, "--method", "capacity", "--set", "colour=red", cwd=tmp_path
    )
    assert wrong.returncode == 2
    assert "cutoff_v" in wrong.stderr


def test_convert_and_read_back(tmp_path: Path) -> None:
    for output in ("out.bdf.csv", "out.bdf.parquet", "out.h5"):
        (row,) = lines(battlife("convert", LEAF, "-o", output, "--json", cwd=tmp_path))
        assert row["output"] == output
        (back,) = lines(battlife("info", output, "--json", cwd=tmp_path))
        assert back["n_samples"] == 2287
        assert back["voltage_v"] == row["voltage_v"]
        assert back["current_a"] == row["current_a"]
    assert battlife("convert", LEAF, "-o", "out.doc", cwd=tmp_path).returncode == 2
    some = battlife("convert", "no.csv", LEAF, "-o", "o.h5", "--json", cwd=tmp_path)
    assert [r.get("status", "ok") for r in lines(some)] == ["error", "ok"]
    assert some.returncode == 3


def test_a_folder_is_graded_and_totals_reconcile(graded: Path) -> None:
    found = rows_of(graded)
    by_status: dict[str, list[str]] = {}
    for row in found:
        by_status.setdefault(row["status"], []).append(row["sources"][0]["path"])
    files = [p for p in (graded / "logs").rglob("*") if p.name != "units.toml"]
    files = [p for p in files if p.is_file()]
    named = [s["path"] for r in found for s in r["sources"]]
    assert sorted(named) == sorted(str(p.relative_to(graded)) for p in files)
    assert by_status["duplicate"] == [
        f"logs/neware/{NEWARE.name}"
    ] or by_status["duplicate"] == ["logs/again.ndax"]  # fmt: skip
    assert by_status["skipped"] == ["logs/report.pdf"]
    assert by_status["error"] == ["logs/cut.xlsx"]
    assert (graded / "code").read_text() == "3"
    assert "Traceback" not in (graded / "stderr").read_text()


def test_a_grade_has_what_the_contract_says(graded: Path) -> None:
    leaf = next(r for r in rows_of(graded) if r["unit"] == "leaf-2013-1C")
    assert leaf["status"] == "graded"
    assert leaf["operator"] == "ana"
    assert leaf["soh_capacity"]["value"] == pytest.approx(0.915, abs=0.002)
    assert leaf["soh_capacity"]["uncertainty"] > 0
    assert leaf["sensor"].startswith("assumed")
    assert leaf["clearance"]["cleared"] is False
    assert leaf["nominal_source"] == "units.toml"
    assert leaf["reported_soh"] is None
    assert {r["outcome"] for r in leaf["reasons"]} <= {"met", "not_met", "missing"}
    assert len(leaf["policy"]["sha256"]) == 64
    assert (graded / leaf["archive"]).is_file()


def test_a_second_run_computes_nothing(graded: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in graded.glob("battlife-archives/*.h5")}
    done = battlife("grade", "logs", "--operator", "ana", "--json", cwd=graded)
    again = [r for r in lines(done) if r["status"] == "graded"]
    assert again and all(r["resumed"] for r in again)
    old = {r["unit"]: r["soh_capacity"] for r in rows_of(graded)}
    assert all(r["soh_capacity"] == old[r["unit"]] for r in again)
    assert before == {
        p: p.stat().st_mtime_ns for p in graded.glob("battlife-archives/*.h5")
    }


def test_what_a_mapping_left_out_is_left_out_when_it_is_read_again(
    tmp_path: Path,
) -> None:
    rows = "".join(f"{t},{-1 if t > 5 else 0},{3.7},{25 + t}\n" for t in range(40))
    (tmp_path / "log.csv").write_text("clock,Amps (A),Volts (V),Temp (C)\n" + rows)
    entries = [("clock", "time_s", "s"), ("Amps (A)", "current_a", "A")]
    entries.append(("Volts (V)", "voltage_v", "V"))
    (tmp_path / "m.toml").write_text(
        '[current]\nsign = "charge_positive"\n'
        + "".join(
            f'[[column]]\nsource = "{a}"\nquantity = "{b}"\nunit = "{c}"\n'
            for a, b, c in entries
        )
    )
    done = battlife("grade", "log.csv", "--mapping", "m.toml", "--json", cwd=tmp_path)
    (row,) = lines(done)
    assert row["status"] == "graded"
    (found,) = lines(battlife("verify", row["archive"], "--json", cwd=tmp_path))
    assert found["recompute"] == "identical", found["findings"]


def test_verify(graded: Path, tmp_path: Path) -> None:
    done = battlife("verify", "battlife-archives", "--json", cwd=graded)
    found = lines(done)
    assert done.returncode == 0
    assert len(found) == 3
    for row in found:
        assert row["integrity"] == "intact"
        assert row["signer"]["trust"] == "trusted"
        assert row["recompute"] == "identical", row["findings"]
    victim = tmp_path / "x.h5"
    content = bytearray((graded / found[0]["source"]).read_bytes())
    content[len(content) // 2] ^= 4
    victim.write_bytes(content)
    altered = battlife("verify", victim, "--json", cwd=tmp_path)
    assert altered.returncode == 3
    assert lines(altered)[0]["integrity"] == "altered"


def test_a_signer_who_is_not_trusted(graded: Path, tmp_path: Path) -> None:
    home = {"BATTLIFE_HOME": str(tmp_path / "auditor")}
    one = next(graded.glob("battlife-archives/*.h5"))
    done = battlife("verify", one, "--json", cwd=tmp_path, env=home)
    assert done.returncode == 0
    assert lines(done)[0]["signer"]["trust"] == "unknown"
    battlife("keys", "export", "-o", "auditor.pem", cwd=tmp_path, env=home)
    strict = battlife("verify", one, "--trust", "auditor.pem", cwd=tmp_path, env=home)
    assert strict.returncode == 3
    battlife("keys", "export", "-o", "ana.pem", cwd=tmp_path)
    trusted = battlife("verify", one, "--trust", "ana.pem", cwd=tmp_path, env=home)
    assert trusted.returncode == 0


def test_workers_change_nothing(graded: Path, tmp_path: Path) -> None:
    done = battlife(
        "grade", graded / "logs", "--operator", "ana", "--json", "--workers", 2,
        cwd=tmp_path,
    )  # fmt: skip
    old = {r["unit"]: r for r in rows_of(graded) if r["status"] == "graded"}
    new = {r["unit"]: r for r in lines(done) if r["status"] == "graded"}
    assert new.keys() == old.keys()
    for unit, row in new.items():
        assert row["soh_capacity"] == old[unit]["soh_capacity"]
        assert row["reasons"] == old[unit]["reasons"]


def test_a_doubled_current_is_suspect_and_not_graded(tmp_path: Path) -> None:
    import polars

    battlife("convert", NEWARE, "-o", "a.bdf.csv", cwd=tmp_path)
    table = polars.read_csv(tmp_path / "a.bdf.csv")
    table = table.with_columns(polars.col("current_ampere") * 2)
    table.write_csv(tmp_path / "doubled.bdf.csv")
    done = battlife("grade", "doubled.bdf.csv", "--nominal-ah", 5, "--json",
                    cwd=tmp_path)  # fmt: skip
    (row,) = lines(done)
    assert (row["status"], row["route"]) == ("refused", None)
    assert "suspect" in row["error"]["message"]
    assert done.returncode == 5


def test_an_impossible_soh_is_refused_as_a_wrong_reference(tmp_path: Path) -> None:
    done = battlife("grade", LEAF, "--nominal-ah", 3.31, "--json", cwd=tmp_path)
    (row,) = lines(done)
    assert row["soh_capacity"] is None
    assert "wrong_reference" in row["soh_refused"]
    assert row["route"] == "RETEST"


def test_a_read_only_share_and_no_home(tmp_path: Path) -> None:
    logs = tmp_path / "share"
    shutil.copytree(DEMO / "leaf_ornl", logs)
    for path in (*logs.iterdir(), logs):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(p.name for p in logs.iterdir())
    env = {k: "" for k in ("BATTLIFE_HOME", "XDG_CONFIG_HOME")}
    env |= {"HOME": "/nonexistent", "NUMBA_CACHE_DIR": ""}
    out = tmp_path / "out"
    done = battlife("grade", logs, "--archives", out, "--json", cwd=tmp_path, env=env)
    logs.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert lines(done)[0]["status"] == "graded"
    assert sorted(p.name for p in logs.iterdir()) == before


def test_tables_are_written(graded: Path) -> None:
    text = (graded / "t.csv").read_text("utf-8-sig")
    assert "leaf-2013-1C" in text
    for name in ("t.xlsx", "t.parquet", "t.html"):
        done = battlife("grade", "logs", "--out", name, "--quiet", cwd=graded)
        assert (graded / name).stat().st_size > 1000, done.stderr
    page = (graded / "t.html").read_text()
    assert "leaf-2013-1C" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_demo(tmp_path: Path) -> None:
    done = battlife("demo", "--out", "d", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    units = {r["unit"] for r in lines(done) if r["status"] == "graded"}
    assert {"B0045", "leaf-2013-1C", "TESTCELL0001-B2-2025-M50T"} <= units
    assert (tmp_path / "d" / "grades.html").is_file()


def test_an_archive_is_evaluated_again_under_a_new_policy(
    graded: Path, tmp_path: Path
) -> None:
    shipped = Path(__file__).parents[2] / "src/battlife/grading/default_policy.toml"
    strict = tmp_path / "strict.toml"
    text = shipped.read_text("utf-8").replace('version = "1.0.0"', 'version = "9"')
    strict.write_text(text, "utf-8")
    archives = tmp_path / "archives"
    shutil.copytree(graded / "battlife-archives", archives)
    done = battlife(
        "grade", archives, "--policy", strict, "--operator", "ben",
        "--reason", "stricter rules", "--json", cwd=tmp_path,
    )  # fmt: skip
    found = lines(done)
    assert len(found) == 3
    assert {r["policy"]["version"] for r in found} == {"9"}
    assert not any(r["resumed"] for r in found)
    from battlife.archive import open_archive

    with open_archive(Path(found[0]["archive"])) as opened:
        history = opened.evaluations(found[0]["unit"])
    assert [e.operator for e in history] == ["ana", "ben"]
    assert history[-1].reason == "stricter rules"
    checked = lines(battlife("verify", archives, "--json", cwd=tmp_path))
    assert {r["integrity"] for r in checked} == {"intact"}


def test_documented_mapping_is_valid() -> None:
    import re
    import tomllib

    from battlife.readers.mapped import parse_mapping

    text = (Path(__file__).parents[2] / "docs/mappings.md").read_text("utf-8")
    example, *_ = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert parse_mapping(tomllib.loads(example)).restart_column == "file_no"


def test_odd_folders_and_outputs(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    empty = battlife("grade", logs, "--json", cwd=tmp_path)
    assert (empty.returncode, empty.stdout) == (0, "")
    (logs / "nowhere").symlink_to(tmp_path / "missing")
    (row,) = lines(battlife("grade", logs, "--json", cwd=tmp_path))
    assert row["status"] == "skipped"
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    done = battlife("grade", LEAF, "--archives", blocked / "x", cwd=tmp_path)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    done = battlife("grade", LEAF, "--out", "t.doc", cwd=tmp_path)
    assert done.returncode == 2
    assert not (tmp_path / "battlife-archives").exists()


def test_a_tampered_archive_is_not_resumed_from(tmp_path: Path) -> None:
    battlife("grade", LEAF, "--json", cwd=tmp_path)
    (archive,) = (tmp_path / "battlife-archives").glob("*.h5")
    archive.write_bytes(archive.read_bytes() + b"x")
    for again in ([LEAF], [archive]):
        done = battlife("grade", *again, "--json", cwd=tmp_path)
        (row,) = lines(done)
        assert (row["status"], row["error"]["type"]) == ("error", "ArchiveError")
        assert done.returncode == 3
    for verb in (["info"], ["estimate", "--method", "capacity"], ["plot"]):
        assert battlife(verb[0], archive, *verb[1:], cwd=tmp_path).returncode == 3


def test_a_removed_archive_is_reported(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        extra = b"" if name == "a.csv" else b"\n"
        (tmp_path / name).write_bytes(LEAF.read_bytes() + extra)
    battlife("grade", "a.csv", "b.csv", cwd=tmp_path)
    folder = tmp_path / "battlife-archives"
    assert battlife("verify", folder, cwd=tmp_path).returncode == 0
    next(folder.glob("a-*.h5")).unlink()
    done = battlife("verify", folder, "--json", cwd=tmp_path)
    codes = {f["code"] for row in lines(done) for f in row["findings"]}
    assert "archive_removed" in codes
    assert done.returncode == 3


def test_a_renamed_log_is_another_unit(tmp_path: Path) -> None:
    first, second = tmp_path / "cellA.csv", tmp_path / "cellB.csv"
    first.write_bytes(LEAF.read_bytes())
    battlife("grade", first, cwd=tmp_path)
    first.rename(second)
    (row,) = lines(battlife("grade", second, "--json", cwd=tmp_path))
    assert (row["unit"], row["resumed"]) == ("cellB", False)
    assert row["sources"][0]["path"] == str(second)


def test_a_loose_archive_is_copied_and_never_written_to(tmp_path: Path) -> None:
    battlife("convert", LEAF, "-o", "loose.h5", cwd=tmp_path)
    before = (tmp_path / "loose.h5").read_bytes()
    done = battlife("grade", "loose.h5", "--json", cwd=tmp_path)
    (row,) = lines(done)
    assert row["status"] == "graded"
    assert row["archive"].startswith("battlife-archives")
    assert (tmp_path / "loose.h5").read_bytes() == before
    again = lines(battlife("grade", "loose.h5", "--json", cwd=tmp_path))
    assert again[0]["resumed"] is True
    assert battlife("verify", "battlife-archives", cwd=tmp_path).returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(12):
        content = LEAF.read_bytes() + b"\n" * (number + 1)
        (logs / f"c{number:02d}.csv").write_bytes(content)
    with subprocess.Popen(
        [sys.executable, "-m", "battlife", "grade", "logs", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        first = run.stdout.readline()
        run.send_signal(signal.SIGINT)
        rest, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "stopped" in said
    assert "Traceback" not in said
    done = [json.loads(line)["archive"] for line in (first + rest).splitlines()]
    assert 0 < len(done) < 12
    again = lines(battlife("grade", "logs", "--json", cwd=tmp_path))
    assert len(again) == 12
    assert {r["archive"] for r in again if r["resumed"]} >= set(done)
    assert battlife("verify", "battlife-archives", cwd=tmp_path).returncode == 0
