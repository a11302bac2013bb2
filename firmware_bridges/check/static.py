"""Check the firmware with cppcheck: MISRA C:2012 addon and its own warnings.

``make check`` runs it. Each program is given as one argument with its sources, so that
the rules about whole programs see one. A finding is let pass only by an entry in
deviations.toml, and an entry that lets nothing pass is a finding too. The addon knows a
part of MISRA C:2012 alone: "checked with", not "compliant with".
"""

import argparse
import fnmatch
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEVIATIONS = HERE / "deviations.toml"
INCLUDES = ("-Icore/include", "-Idrivers", "-Ihal")
# The board's layer is no portable code and its chip's headers take minutes; it is
# checked without them, and what they define as macros is told here.
BOARD = (
    "-Iboards/avr",
    "-DF_CPU=16000000UL",
    "-DBAUD=1000000UL",
    "-DISR(vector)=void vector(void)",
    "-DATOMIC_BLOCK(how)=",
)
PREFIX = "misra-c2012-"


@dataclass(frozen=True)
class Finding:
    """What cppcheck said of one line; `rule` is its number or cppcheck's own name."""

    file: str
    line: int
    rule: str
    message: str


def findings(root: Path, options: Sequence[str]) -> set[Finding]:
    """Return what cppcheck finds in some sources below `root`."""
    command = [
        "cppcheck",
        "--quiet",
        "--std=c11",
        "--platform=avr8",
        "--enable=warning,style,performance,portability",
        "--error-exitcode=3",
        "--template={file}\t{line}\t{id}\t{message}",
        *options,
    ]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False
    )
    rows = [row.split("\t") for row in done.stderr.splitlines()]
    if done.returncode not in (0, 3) or any(len(row) != 4 for row in rows):
        raise SystemExit(f"cppcheck failed:\n{done.stdout}{done.stderr}")
    return {
        Finding(file, int(line), rule.removeprefix(PREFIX), message)
        for file, line, rule, message in rows
    }


def check(root: Path, programs: Sequence[str]) -> set[Finding]:
    """Return all findings in portable programs and in the board's layer."""
    found: set[Finding] = set()
    for program in programs:
        options = ["--addon=misra", *INCLUDES, *program.split()]
        found |= findings(root, options)
    for pins in sorted(root.glob("boards/avr/pins_*.h")):
        name = f'-DPINS_HEADER="{pins.name}"'
        sources = [str(p.relative_to(root)) for p in root.glob("boards/avr/*.c")]
        found |= findings(root, [*INCLUDES, *BOARD, name, *sources])
    return found


def judged(found: set[Finding], deviations: Sequence[dict[str, str]]) -> list[str]:
    """Return the lines of what no deviation covers, and of deviations without use."""
    used = set()
    wrong = []
    for finding in sorted(found, key=lambda f: (f.file, f.line, f.rule)):
        covering = [
            at
            for at, entry in enumerate(deviations)
            if entry["rule"] == finding.rule
            and fnmatch.fnmatchcase(finding.file, entry["where"])
        ]
        used |= set(covering)
        if not covering:
            about = finding.message if finding.rule[0].isalpha() else "MISRA C:2012"
            wrong.append(f"{finding.file}:{finding.line}: {finding.rule}: {about}")
    wrong += [
        f"{DEVIATIONS.name}: rule {entry['rule']} in {entry['where']}: no longer needed"
        for at, entry in enumerate(deviations)
        if at not in used
    ]
    return wrong


def main() -> int:
    """Check the programs named; print what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", type=Path, default=HERE.parent)
    parser.add_argument(
        "program", nargs="+", help="sources and -D options of one program"
    )
    arguments = parser.parse_args()
    deviations = tomllib.loads(DEVIATIONS.read_text())["deviation"]
    found = check(arguments.root, arguments.program)
    wrong = judged(found, deviations)
    for line in wrong:
        sys.stdout.write(line + "\n")
    sys.stdout.write(
        f"{len(wrong)} findings; {len(found)} with the {len(deviations)} deviations\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
