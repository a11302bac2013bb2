"""Show which lines and branches of core/ the tests on the host went through.

``python check/core_coverage.py build/coverage`` reads the counters that a run has left
there (``make coverage``), and ends with 1 where a file of `WHOLE` misses anything: what
cannot be reached is to be taken out of the code, not of the count.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

WHOLE = ("safety.c",)
CORE = Path(__file__).parents[1] / "core"


@dataclass(frozen=True)
class Coverage:
    """One file: how many lines and branches it has, and those never taken.

    Attributes
    ----------
    missed_lines : numbers
    missed_branches : (line, which of that line's), from 1
    """

    file: str
    n_lines: int
    n_branches: int
    missed_lines: tuple[int, ...]
    missed_branches: tuple[tuple[int, int], ...]

    def row(self) -> str:
        """Return a line of the table."""
        shares = (
            (self.n_lines, len(self.missed_lines)),
            (self.n_branches, len(self.missed_branches)),
        )
        cells = [f"{100 * (n - k) / max(n, 1):6.1f} % of {n:3d}" for n, k in shares]
        missed = [f"line {n}" for n in self.missed_lines]
        missed += [f"line {n} branch {k}" for n, k in self.missed_branches]
        return "  ".join([f"{self.file:16}", *cells, ", ".join(missed)]).rstrip()


def measured(folder: Path) -> list[Coverage]:
    """Return what the counters in `folder` say, by name of the file.

    Raises
    ------
    FileNotFoundError
        A file of core/ has no counters: nothing ran, or not with this build.
    """
    found = []
    for source in sorted(CORE.glob("*.c")):
        counters = folder / f"{source.stem}.gcda"
        if not counters.exists():
            raise FileNotFoundError(f"{counters}: no counters of {source.name}")
        found.append(_of(counters))
    return found


def _of(counters: Path) -> Coverage:
    done = subprocess.run(
        ["gcov", "--json-format", "--branch-probabilities", "--stdout", counters.name],
        cwd=counters.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    (file,) = (f for f in json.loads(done.stdout)["files"] if f["file"].endswith(".c"))
    branches = [
        (line["line_number"], which, branch["count"])
        for line in file["lines"]
        for which, branch in enumerate(line["branches"], 1)
    ]
    return Coverage(
        file=Path(file["file"]).name,
        n_lines=len(file["lines"]),
        n_branches=len(branches),
        missed_lines=tuple(
            line["line_number"] for line in file["lines"] if line["count"] == 0
        ),
        missed_branches=tuple((n, which) for n, which, count in branches if not count),
    )


def unfinished(files: list[Coverage]) -> list[Coverage]:
    """Return those of `WHOLE` that miss anything or are not there at all."""
    seen = {file.file: file for file in files}
    nothing = Coverage("", 0, 0, (0,), ())
    wanted = [seen.get(name, nothing) for name in WHOLE]
    return [file for file in wanted if file.missed_lines or file.missed_branches]


def main() -> int:
    """Print the table of the folder named on the command line."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: core_coverage.py FOLDER\n")
        return 2
    files = measured(Path(sys.argv[1]))
    sys.stdout.write("file              lines            branches\n")
    sys.stdout.writelines(f"{file.row()}\n" for file in files)
    missing = unfinished(files)
    sys.stdout.writelines(f"not covered whole: {file.row()}\n" for file in missing)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
