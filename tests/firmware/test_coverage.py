"""Every line and branch of core/safety.c is gone through by the tests on the host.

They run once more with a core that counts (`make coverage`), from a fixed seed.
"""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from toolchain import FIRMWARE, require

sys.path.insert(0, str(FIRMWARE / "check"))

from core_coverage import Coverage, measured, unfinished  # noqa: E402


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Coverage]:
    tools = [tool for tool in ("gcc", "gcov", "make") if not shutil.which(tool)]
    require(tools, "gcc make")
    folder = tmp_path_factory.mktemp("coverage")
    done = subprocess.run(
        ["make", "-C", str(FIRMWARE), "coverage"]
        + [f"BUILD={folder}", f"PYTHON={sys.executable}"],
        capture_output=True,
        text=True,
        check=False,
    )
    sys.stdout.write(done.stdout)  # the table, where a test fails
    assert " passed" in done.stdout, done.stdout + done.stderr
    return measured(Path(folder) / "coverage")


def test_the_logic_of_the_contactor_is_covered_whole(files):
    assert [file.row() for file in unfinished(files)] == []


def test_the_count_is_of_something(files):
    (safety,) = (file for file in files if file.file == "safety.c")
    assert safety.n_lines > 100
    assert safety.n_branches > 60
    assert {file.file for file in files} == {
        path.name for path in (FIRMWARE / "core").glob("*.c")
    }


def test_the_other_files_are_nearly_covered(files):
    for file in files:
        assert len(file.missed_lines) <= 0.02 * file.n_lines, file.row()
        assert len(file.missed_branches) <= 0.05 * file.n_branches, file.row()


def test_a_line_or_branch_not_taken_is_named(files):
    (safety,) = (file for file in files if file.file == "safety.c")
    for gap in ({"missed_lines": (7,)}, {"missed_branches": ((7, 2),)}):
        (found,) = unfinished([replace(safety, **gap)])
        assert "line 7" in found.row()
    assert unfinished([]) != []
