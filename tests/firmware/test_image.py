"""What the compiled images hold and take, and that the check of it can fail."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cell_bridge import Host, calibrated, flashed
from toolchain import FIRMWARE

CHECK = FIRMWARE / "check"
sys.path.insert(0, str(CHECK))

import image  # noqa: E402
import stack  # noqa: E402

KNOWN = image.budgets()
DEVICES, BUDGETS, RULE = KNOWN["device"], KNOWN["budget"], KNOWN["rule"]
IMAGES = [(board, app) for board in DEVICES for app in BUDGETS]


def taken(built: Path, board: str, app: str) -> image.Measured:
    return image.measured(built / board / f"{app}.elf", DEVICES[board])


@pytest.mark.parametrize(("board", "app"), IMAGES)
def test_an_image_holds_nothing_forbidden_and_fits(
    built: Path, board: str, app: str
) -> None:
    found = taken(built, board, app)
    assert image.over(found, DEVICES[board], BUDGETS[app], RULE) == []
    assert image.forbidden(built / board / f"{app}.elf") == []


def test_every_image_that_is_built_has_a_budget(built: Path) -> None:
    apps = {main.parent.name for main in (FIRMWARE / "apps").glob("*/main.c")}
    boards = {
        pins.stem.removeprefix("pins_")
        for pins in (FIRMWARE / "boards" / "avr").glob("pins_*.h")
    }
    assert set(BUDGETS) == apps
    assert set(DEVICES) == boards
    assert set(RULE) == {"static_ram_percent", "stack_margin"}


def test_the_readme_has_about_these_figures(built: Path) -> None:
    text = (FIRMWARE / "README.md").read_text()
    rows = text.split(image.BEGIN)[1].split(image.END)[0].strip().splitlines()[2:]
    told = {}
    for row in rows:
        board, app, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        told[board, app] = [int(cell.split()[0]) for cell in cells]
    assert set(told) == set(IMAGES)
    for (board, app), figures in told.items():
        found = taken(built, board, app)
        now = [found.flash, found.static_ram, found.stack, found.left]
        assert figures == pytest.approx(now, rel=0.05), "run `make readme`"


# -- what must not be there

PLANTED = {
    "heap": "extern void *malloc(unsigned);\n    *(volatile char *)malloc(9u) = 1;",
    "float": "volatile float f = 1.5f;\n    f = f * 2.5f + f;",
    "printf": "extern int printf(const char *, ...);\n    printf(\"%u\", 7u);",
}  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_use_is_found(built: Path, tmp_path: Path, what: str) -> None:
    for folder in ("core", "drivers", "hal", "boards", "apps"):
        shutil.copytree(FIRMWARE / folder, tmp_path / folder)
    shutil.copy(FIRMWARE / "Makefile", tmp_path)
    main = tmp_path / "apps" / "cell_bridge" / "main.c"
    before, after = main.read_text().split("    hal_init(FRAME_DELIMITER);\n")
    main.write_text(before + PLANTED[what] + "\n    hal_init(FRAME_DELIMITER);" + after)
    elf = "build/m328p/cell_bridge.elf"
    subprocess.run(["make", "-s", "-C", tmp_path, elf], check=True, capture_output=True)
    found = image.forbidden(tmp_path / elf)
    assert any(line.startswith(f"{what}: ") for line in found), found


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("flash", 12_801, "over the budget"),
        ("static_ram", 1451, "over the budget"),
        ("static_ram", 1537, "over 75 %"),
        ("stack", 129, "over the budget"),
        ("flash", 30_721, "does not fit"),
        ("left", 127, "127 bytes are left"),
    ],
)
def test_more_than_the_budget_is_told(field: str, value: int, says: str) -> None:
    fits = image.Measured(12_000, 1400, 100, 10, 548, ("main",))
    device, budget = DEVICES["m328p"], BUDGETS["slcan_bridge"]
    assert image.over(fits, device, budget, RULE) == []
    wrong = image.over(replace(fits, **{field: value}), device, budget, RULE)
    assert any(says in line for line in wrong), wrong


# -- the depth of the stack, on programs whose depth is known

CALLS = """
__attribute__((noinline)) unsigned char deep(unsigned char n)
{
    volatile unsigned char room[33];
    for (unsigned char i = 0; i < sizeof room; i++) { room[i] = n; }
    return room[n & 31];
}
__attribute__((noinline)) unsigned char wide(unsigned char n)
{
    volatile unsigned char room[200];
    for (unsigned char i = 0; i < sizeof room; i++) { room[i] = n; }
    return (unsigned char)(room[n & 127] + deep(n));
}
volatile unsigned char sink;
int main(void) { for (;;) { sink = wide(sink); deep(3); } }
"""
RECURSES = """
__attribute__((noinline)) unsigned char down(unsigned char n)
{
    volatile unsigned char here = n;
    return n ? (unsigned char)(down((unsigned char)(n - 1)) + here) : here;
}
volatile unsigned char sink;
int main(void) { for (;;) { sink = down(sink); } }
"""
POINTS = """
volatile unsigned char sink;
static void one(void) { sink++; }
static void two(void) { sink--; }
void (*volatile which)(void) = one;
int main(void) { for (;;) { which(); which = sink ? one : two; } }
"""
VARIES = """
volatile unsigned char sink;
__attribute__((noinline)) void any(unsigned char n)
{
    volatile unsigned char room[n];
    for (unsigned char i = 0; i < n; i++) { room[i] = i; }
    sink = room[0];
}
int main(void) { for (;;) { any(sink); } }
"""
NESTS = """
#include <avr/interrupt.h>
volatile unsigned char sink;
ISR(TIMER1_COMPA_vect) { sink++; sei(); sink++; }
int main(void) { for (;;) { sink--; } }
"""


def compiled(folder: Path, text: str, board: str) -> Path:
    (folder / "a.c").write_text(text)
    command = ["avr-gcc", f"-mmcu={DEVICES[board]['processor']}", "-O2", "-std=gnu11"]
    command += ["-fstack-usage", "-o", "a.elf", "a.c"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "a.elf"


def make_variable(name: str) -> list[str]:
    """Return the words of a variable of firmware_bridges/Makefile."""
    show = f"--eval=show: ; @echo $({name})"
    command = ["make", "-s", "-C", str(FIRMWARE), show, "show"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


def read(elf: Path, board: str) -> stack.Image:
    device = DEVICES[board]
    last = device["ram_start"] + device["ram"] - 1
    return stack.read(elf, return_bytes=device["return"], last_ram=last)


@pytest.mark.parametrize("board", DEVICES)
def test_depth_is_what_the_compiler_says(
    built: Path, tmp_path: Path, board: str
) -> None:
    found = stack.worst(read(compiled(tmp_path, CALLS, board), board))
    rows = (row.split("\t") for row in (tmp_path / "a.su").read_text().splitlines())
    # The compiler counts a function's own bytes and its return address.
    frame = {where.split(":")[-1]: int(n) for where, n, _ in rows}
    assert frame["wide"] > 200
    assert frame["deep"] > 33
    assert found.program == frame["main"] + frame["wide"] + frame["deep"]
    assert found.path[-3:] == ("main", "wide", "deep")
    assert found.interrupt == 0


@pytest.mark.parametrize("board", DEVICES)
@pytest.mark.parametrize("app", BUDGETS)
def test_every_function_of_the_firmware_is_as_deep_as_the_compiler_says(
    built: Path, tmp_path: Path, board: str, app: str
) -> None:
    # Without the link-time optimiser the compiler does tell.
    sources = make_variable(f"SOURCES_{app}") + ["boards/avr/hal_avr.c"]
    sources.append(f"apps/{app}/main.c")
    command = ["avr-gcc", f"-mmcu={DEVICES[board]['processor']}", "-O2", "-std=c11"]
    command += ["-fstack-usage", "-ffunction-sections", "-Wl,--gc-sections"]
    command += ["-DF_CPU=16000000UL", "-DBAUD=1000000UL"]
    command += [f'-DPINS_HEADER="pins_{board}.h"']
    folders = ("core/include", "drivers", "hal", "boards/avr")
    command += [f"-I{FIRMWARE / folder}" for folder in folders]
    command += ["-o", "a.elf", *(str(FIRMWARE / source) for source in sources)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    said: dict[str, int] = {}
    for file in tmp_path.glob("*.su"):
        for row in file.read_text().splitlines():
            where, size, kind = row.split("\t")
            assert kind == "static"
            said[where.split(":")[-1]] = int(size)
    code = read(tmp_path / "a.elf", board)
    stack.worst(code)
    found = {code.symbols.get(at, ""): own for at, own in code.own.items()}
    both = {name: found[name] + code.return_bytes for name in set(said) & set(found)}
    assert len(both) > 45
    # It ends in a jump into mcp2515_reset, whose depth is then its own.
    both.pop("mcp2515_close", None)
    assert both == {name: said[name] for name in both}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (RECURSES, "down calls itself"),
        (POINTS, "icall in main"),
        (VARIES, "any"),
        (NESTS, "lets other interrupts in"),
    ],
    ids=["recursion", "pointer", "variable length", "nested interrupts"],
)
def test_what_cannot_be_followed_is_an_error(
    built: Path, tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(stack.UnknownDepthError, match=says):
        stack.worst(read(compiled(tmp_path, text, "m328p"), "m328p"))


# -- the same depth, measured in emulation


def painted(built: Path, board: str, app: str, rig: Any) -> Callable[[], int]:
    """Paint the memory behind the variables; return how deep the stack has been."""
    first = DEVICES[board]["ram_start"] + taken(built, board, app).static_ram
    rig.paint_ram(first)
    room = DEVICES[board]["ram"] - taken(built, board, app).static_ram
    return lambda: room - rig.painted_ram(first)


@pytest.mark.parametrize("board", DEVICES)
def test_the_cell_bridge_never_goes_deeper(
    built: Path, lockstep: Callable[..., Any], tmp_path: Path, board: str
) -> None:
    record = calibrated(n_front_ends=2, cells_second=12)
    elf = flashed(built / board / "cell_bridge.elf", tmp_path, record)
    rig = lockstep(elf, board)
    depth = painted(built, board, "cell_bridge", rig)
    rig.command("afe chips 2")
    host = Host(rig)
    host.close_contactor()
    for message in ("ask_identity", "ask_measurement", "ask_disarm", "ask_clear"):
        host.ask(message)
    rig.write(bytes(range(256)) + b"\0")
    host.run_ms(200)
    rig.command("afe all 50000")
    host.run_ms(200)
    assert host.ask("ask_measurement").state == "tripped"
    worst = taken(built, board, "cell_bridge").stack
    assert worst // 2 < depth() <= worst


@pytest.mark.parametrize("board", DEVICES)
def test_the_slcan_bridge_never_goes_deeper(
    built: Path, lockstep: Callable[..., Any], board: str
) -> None:
    rig = lockstep(str(built / board / "slcan_bridge"), board)
    depth = painted(built, board, "slcan_bridge", rig)
    rig.command("can bitrate 500000")
    rig.run_ms(20)
    rig.write(b"V\rN\rZ2\rS6\rO\r")
    rig.run_ms(20)
    for _ in range(40):
        rig.write(b"T1ABCDEF780011223344556677\rt1238AABBCCDDEEFF0011\rF\r" + b"x" * 40)
        rig.run_ms(3)
    rig.write(b"\rC\rQ1\r")
    rig.run_ms(100)
    assert b"V1010\r" in rig.read()
    worst = taken(built, board, "slcan_bridge").stack
    assert worst // 2 < depth() <= worst
