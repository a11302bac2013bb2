"""The portable firmware passes the static checks, and the checks can fail.

cppcheck with its MISRA C:2012 addon looks for a part of the rules alone: these tests
say "checked with", not "compliant with".
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from toolchain import FIRMWARE, make, require

CHECK = FIRMWARE / "check"
sys.path.insert(0, str(CHECK))

from static import Finding, findings, judged  # noqa: E402

ADDON = ["--addon=misra", "-Icore/include", "-Idrivers", "-Ihal"]
DEVIATIONS = tomllib.loads((CHECK / "deviations.toml").read_text())["deviation"]
PLANTED = tomllib.loads(Path(__file__).with_name("planted.toml").read_text())["planted"]


@pytest.fixture(scope="module", autouse=True)
def cppcheck() -> None:
    require(
        [tool for tool in ("cppcheck", "make") if not shutil.which(tool)],
        "cppcheck make",
    )


def test_the_firmware_has_no_finding_but_the_listed_deviations() -> None:
    make("check")


def test_deviations_say_where_and_why_and_are_advisory() -> None:
    for entry in DEVIATIONS:
        assert set(entry) == {"rule", "where", "reason"}
        assert len(entry["reason"].split()) >= 8
    assert {entry["rule"] for entry in DEVIATIONS} == {"15.5", "2.5"}


@pytest.mark.parametrize("planted", PLANTED, ids=[p["name"] for p in PLANTED])
def test_a_planted_violation_is_found(planted: dict[str, str], tmp_path: Path) -> None:
    for folder in ("core", "drivers", "hal"):
        shutil.copytree(FIRMWARE / folder, tmp_path / folder)
    source = tmp_path / planted["file"]
    text, there = source.read_text(), planted["there"]
    assert there in text, "the file has changed: plant it elsewhere"
    source.write_text(text.replace(there, planted["then"], 1))
    found = findings(tmp_path, [*ADDON, planted["file"]])
    told = judged(found, DEVIATIONS)
    start, rule = planted["file"] + ":", f" {planted['rule']}: "
    assert any(line.startswith(start) and rule in line for line in told), told


def test_a_deviation_that_is_not_needed_is_a_finding() -> None:
    entry = {"rule": "99.9", "where": "core/none.c", "reason": "of old"}
    found = {Finding("core/ring.c", 3, "15.5", "")}
    entries = [entry, {"rule": "15.5", "where": "core/*.c", "reason": "r"}]
    assert judged(found, entries) == [
        "deviations.toml: rule 99.9 in core/none.c: no longer needed"
    ]
    assert judged(found, [])[0] == "core/ring.c:3: 15.5: MISRA C:2012"


def test_the_check_ends_with_an_error(tmp_path: Path) -> None:
    for folder in ("core", "boards", "hal"):
        shutil.copytree(FIRMWARE / folder, tmp_path / folder)
    source = tmp_path / "core" / "ring.c"
    source.write_text("#define NOBODY 1u\n" + source.read_text())
    done = subprocess.run(
        [sys.executable, CHECK / "static.py", "--root", tmp_path, "core/ring.c"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "core/ring.c:1: 2.5" in done.stdout
