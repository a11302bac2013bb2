"""Check the compiled images: what is in them, and what they take.

``make size`` prints a table, ``make readme`` writes it to README.md. Both fail on a
heap, floating point or printf anywhere in the symbol table; on more flash, variables or
stack than size_budget.toml allows; on too little room between the variables and the
deepest stack (check/stack.py).
"""

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import stack

HERE = Path(__file__).resolve().parent
BUDGET = HERE / "size_budget.toml"
BEGIN, END = "<!-- sizes -->", "<!-- /sizes -->"
"""Around the table in README.md."""

# libgcc's and avr-libc's names, of which any one means that the thing is there.
FORBIDDEN = {
    "heap": re.compile(
        r"_*(malloc|calloc|realloc|free|sbrk|brk|aligned_alloc|strn?dup)(_r)?"
        r"|__malloc_(heap_start|heap_end|margin)|__brkval|__flp|_Zn[aw]\w*|_Zd[al]Pv\w*"
    ),
    "float": re.compile(
        r"__(add|sub|mul|div|neg|eq|ne|lt|le|gt|ge|cmp|unord|pow)[sdt]f[23i]?\w*"
        r"|__(fix|fixuns|float|floatun|floatuns|extend|trunc)\w*[sdt]f\w*"
        r"|__[sdt]f\w+|__fp_\w+|f?(sqrt|sin|cos|tan|exp|log|log10|pow|floor|ceil)f?"
    ),
    "printf": re.compile(
        r"_*(v?(f|s|sn|d)?i?printf|v?(f|s)?scanf|puts|f?puts|f?putc|putchar)(_P|_r)?"
        r"|__ultoa_invert|__ftoa_engine|dtostrf|dtostre|fdevopen|__iob"
    ),
}


@dataclass(frozen=True)
class Measured:
    """What one image takes, in bytes."""

    flash: int
    static_ram: int
    stack: int
    interrupt: int
    left: int
    path: tuple[str, ...]


def forbidden(elf: Path) -> list[str]:
    """Return what stands in the symbol table and must not."""
    names = _run("avr-nm", str(elf)).split("\n")
    return sorted(
        {
            f"{what}: {name}"
            for row in names
            if row
            for name in [row.split()[-1].partition(".")[0]]
            for what, pattern in FORBIDDEN.items()
            if pattern.fullmatch(name)
        }
    )


def measured(elf: Path, device: Mapping[str, Any]) -> Measured:
    """Return what an image takes on a device of size_budget.toml."""
    sizes = {
        row.split()[0]: int(row.split()[1])
        for row in _run("avr-size", "-A", str(elf)).splitlines()
        if row.startswith(".")
    }
    static = sum(sizes.get(name, 0) for name in (".data", ".bss", ".noinit"))
    image = stack.read(
        elf,
        return_bytes=device["return"],
        last_ram=device["ram_start"] + device["ram"] - 1,
    )
    found = stack.worst(image)
    return Measured(
        flash=sizes[".text"] + sizes.get(".data", 0),
        static_ram=static,
        stack=found.worst,
        interrupt=found.interrupt,
        left=device["ram"] - static - found.worst,
        path=found.path,
    )


def over(
    taken: Measured,
    device: Mapping[str, Any],
    budget: Mapping[str, Any],
    rule: Mapping[str, Any],
) -> list[str]:
    """Return what an image takes beyond its budget or its device."""
    values = asdict(taken)
    wrong = [
        f"{name} {values[name]} is over the budget of {most}"
        for name, most in budget.items()
        if values[name] > most
    ]
    if taken.flash > device["flash"]:
        wrong.append(f"flash {taken.flash} does not fit {device['flash']}")
    if 100 * taken.static_ram > rule["static_ram_percent"] * device["ram"]:
        wrong.append(
            f"variables of {taken.static_ram} are over {rule['static_ram_percent']} % "
            f"of {device['ram']}"
        )
    if taken.left < rule["stack_margin"]:
        wrong.append(
            f"{taken.left} bytes are left beside the deepest stack, "
            f"{rule['stack_margin']} must be"
        )
    return wrong


def table(rows: Iterable[tuple[str, str, Measured, Mapping[str, Any]]]) -> str:
    """Return the table of README.md: board, app, what each takes of its device."""
    lines = [
        "| Board | App | Flash | Variables | Deepest stack | Left |",
        "|---|---|---|---|---|---|",
    ]
    for board, app, taken, device in rows:
        lines.append(
            f"| {board} | {app} "
            f"| {taken.flash} of {device['flash']} "
            f"| {taken.static_ram} of {device['ram']} "
            f"({100 * taken.static_ram / device['ram']:.0f} %) "
            f"| {taken.stack} | {taken.left} |"
        )
    return "\n".join(lines)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def budgets() -> dict[str, Any]:
    """Return size_budget.toml."""
    return tomllib.loads(BUDGET.read_text())


def main() -> int:
    """Check the images of a build folder; print the table and what is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--readme", type=Path, help="write the table there")
    arguments = parser.parse_args()
    build = arguments.build
    known = budgets()
    rows, wrong = [], []
    for board, device in known["device"].items():
        for app, budget in known["budget"].items():
            elf = build / board / f"{app}.elf"
            taken = measured(elf, device)
            rows.append((board, app, taken, device))
            faults = over(taken, device, budget, known["rule"]) + forbidden(elf)
            wrong += [f"{board}/{app}: {fault}" for fault in faults]
    sys.stdout.write(table(rows) + "\n")
    if arguments.readme:
        before, behind = arguments.readme.read_text().split(BEGIN)
        after = behind.partition(END)[2]
        text = f"{before}{BEGIN}\n{table(rows)}\n{END}{after}"
        arguments.readme.write_text(text)
    for board, app, taken, _ in rows:
        sys.stdout.write(
            f"{board}/{app}: {taken.stack - taken.interrupt} bytes by "
            f"{' > '.join(taken.path)}, {taken.interrupt} by an interrupt\n"
        )
    for line in wrong:
        sys.stdout.write(line + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
