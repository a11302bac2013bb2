"""The contactor of the emulated cell bridge, moved from the command line and Python.

The real driver on the compiled firmware over a pseudo-terminal; what the coil did is
read from the pin of the processor.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from cell_bridge import calibrated, flashed

from battlife.cli import run
from battlife.drivers.contactor import held_closed, judged, opened
from battlife.drivers.session import Session
from battlife.errors import HardwareError, InputError

Start = Callable[..., Any]
CLOSED, OPEN = "coil=1 contact=1", "coil=0 contact=0"


@pytest.fixture
def start(built: Path, pty_rig: Callable[..., Any], tmp_path: Path) -> Start:
    def begin(record: bytes | None = None, **changes: Any) -> Any:
        elf = built / "m328p" / "cell_bridge.elf"
        return pty_rig(flashed(elf, tmp_path, record or calibrated(**changes)))

    return begin


Typed = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    """Run ``battlife contactor``; exit code, JSON lines, what was said beside them."""

    def run_words(*words: str, verb: str = "contactor") -> Any:
        code = run([verb, *words, "--json"])
        said = capsys.readouterr()
        return code, [json.loads(row) for row in said.out.splitlines()], said.err

    return run_words


def levels(rig: Any) -> list[int]:
    return [int(word.split(":")[1]) for word in rig.command("coil log").split()]


def test_nothing_moves_that_is_not_named(start: Start, typed: Typed) -> None:
    rig = start(over_voltage_mv=4150)
    code, (row,), _ = typed(f"bridge@{rig.port}")
    assert (code, row["state"], row["contactors_closed"]) == (0, "ready", False)
    assert row["limits"]["bridge_over_voltage_v"] == 4.15
    assert row["limits"]["bridge_discharge_max_a"] == 50.0
    for named in ("clear", "ARM", "heartbeat"):
        code, rows, said = typed(f"bridge@{rig.port}", "--allow-write", named)
        assert (code, rows) == (2, [])
        assert "nothing was sent" in said
    code, rows, said = typed("jbd_uart@/dev/null", "--allow-write", "arm")
    assert (code, rows) == (2, [])
    assert rig.command("coil log") == ""


def test_it_is_closed_for_a_time_and_then_open(start: Start, typed: Typed) -> None:
    rig = start()
    code, rows, said = typed(
        f"bridge@{rig.port}", "--allow-write", "arm", "--duration", "2.5",
        "--period", "0.5",
    )  # fmt: skip
    assert code == 0, said
    assert [row["stage"] for row in rows[:2]] == ["state", "reading"]
    assert rows[0]["limits"]["bridge_under_voltage_v"] == 2.7
    assert (rows[-1]["stage"], rows[-1]["by_bridge"]) == ("opened", False)
    readings = [row["values"] for row in rows if row["stage"] == "reading"]
    assert len(readings) >= 3
    assert all(values["bridge_state"] == "closed" for values in readings)
    assert levels(rig) == [1, 0]
    assert rig.command("contactor") == OPEN


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130)]
)
def test_ctrl_c_opens_it_and_says_so(start: Start, number: int, code: int) -> None:
    rig = start()
    target = f"bridge@{rig.port}"
    words = [sys.executable, "-m", "battlife", "contactor", target]
    with subprocess.Popen(
        [*words, "--allow-write", "arm"], stdout=subprocess.PIPE, text=True
    ) as running:
        end = time.monotonic() + 60
        try:
            while rig.command("contactor") != CLOSED:
                assert time.monotonic() < end
                assert running.poll() is None
                time.sleep(0.05)
        except BaseException:
            running.kill()
            raise
        running.send_signal(number)
        said, _ = running.communicate(timeout=60)
    assert running.returncode == code
    assert "over_voltage_v" in said.split("closed:")[0]  # read back before it closed
    assert said.splitlines()[-1] == "disarmed: the contactor is open"
    assert rig.command("contactor").startswith("coil=0")
    with Session(target) as session:  # it was asked to: nothing is latched
        assert judged(session).fault_codes == ()


def test_killed_it_opens_by_itself(start: Start, typed: Typed) -> None:
    rig = start()
    words = [sys.executable, "-m", "battlife", "contactor", f"bridge@{rig.port}"]
    with subprocess.Popen(
        [*words, "--allow-write", "arm"], stdout=subprocess.DEVNULL
    ) as running:
        end = time.monotonic() + 60
        try:
            while rig.command("contactor") != CLOSED:
                assert time.monotonic() < end
                assert running.poll() is None
                time.sleep(0.05)
        finally:
            running.kill()
    while rig.command("contactor") != OPEN:
        assert time.monotonic() < end
        time.sleep(0.05)
    code, (row,), _ = typed(f"bridge@{rig.port}")
    assert (code, row["state"], row["fault_codes"]) == (0, "tripped", ["host_silent"])


def test_a_fault_ends_it_and_only_a_named_clear_leads_back(
    start: Start, typed: Typed, tmp_path: Path
) -> None:
    rig = start()
    target = f"bridge@{rig.port}"
    stop, seen = Event(), []

    def on_reading(snapshot: Any) -> None:
        seen.append(snapshot.values["bridge_state"])
        rig.command("afe cell 0 7 43000")

    done = held_closed(
        target, approve=lambda _: True, stop=stop, period_s=0.1, on_reading=on_reading
    )
    assert done is not None
    assert (done.by_bridge, done.fault_codes) == (True, ("over_voltage",))
    assert (seen[0], seen[-1]) == ("closed", "tripped")
    rig.command("afe cell 0 7 41000")
    code, rows, said = typed(target, "--allow-write", "arm")
    assert (code, len(rows)) == (4, 0), said
    assert "over_voltage" in said and "nothing was armed" in said
    kept = tmp_path / "codes.json"
    clear = ("--allow-write", "clear", "-o", str(kept))
    assert typed(target, *clear, verb="clear-faults")[0] == 0
    assert json.loads(kept.read_text())["fault_codes"] == ["over_voltage"]
    assert levels(rig) == [1, 0]
    code, rows, _ = typed(target, "--allow-write", "arm", "--duration", "0.3")
    assert (code, rows[-1]["by_bridge"]) == (0, False)
    assert levels(rig) == [1, 0]


def test_what_the_bridge_opens_exits_6(start: Start, typed: Typed) -> None:
    rig = start()
    rig.command("contactor stuck_open 1")
    code, rows, _ = typed(f"bridge@{rig.port}", "--allow-write", "arm")
    assert code == 6
    assert rows[-1]["by_bridge"] is True
    assert rows[-1]["fault_codes"] == ["contactor_not_closing"]


def test_not_approved_is_not_armed(start: Start) -> None:
    rig = start()
    shown = []

    def approve(found: Any) -> bool:
        shown.append(found)
        return False

    assert held_closed(f"bridge@{rig.port}", approve=approve, stop=Event()) is None
    assert shown[0].limits["bridge_over_voltage_v"] == 4.2
    assert rig.command("coil log") == ""


def test_a_welded_contactor_is_told(start: Start, typed: Typed) -> None:
    rig = start()

    def weld(snapshot: Any) -> None:
        rig.command("contactor welded 1")

    with pytest.raises(HardwareError, match="CLOSED after .disarm.") as told:
        held_closed(
            f"bridge@{rig.port}",
            approve=lambda _: True,
            stop=Event(),
            duration_s=0.3,
            on_reading=weld,
        )
    assert "by hand" in told.value.hint
    with pytest.raises(HardwareError, match="CLOSED after .disarm."):
        opened(f"bridge@{rig.port}")
    rig.command("contactor welded 0")
    code, rows, _ = typed(f"bridge@{rig.port}", "--allow-write", "disarm")
    assert (code, rows[-1]["stage"]) == (0, "opened")


def test_a_caller_that_fails_opens_it(start: Start) -> None:
    rig = start()

    def fail(snapshot: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        held_closed(
            f"bridge@{rig.port}",
            approve=lambda _: True,
            stop=Event(),
            on_reading=fail,
        )
    assert levels(rig) == [1, 0]


def test_unplugged_while_closed_says_what_the_bridge_does(start: Start) -> None:
    rig = start()

    def unplug(snapshot: Any) -> None:
        rig.unplug()

    with pytest.raises(HardwareError, match="contactor may be closed") as told:
        held_closed(
            f"bridge@{rig.port}",
            approve=lambda _: True,
            stop=Event(),
            period_s=0.2,
            on_reading=unplug,
        )
    assert "opens it by itself within 1 s" in told.value.hint


def test_a_damaged_calibration_is_never_armed(start: Start, typed: Typed) -> None:
    record = bytearray(calibrated())
    record[8] ^= 0x10
    rig = start(bytes(record))
    code, (row,), _ = typed(f"bridge@{rig.port}")
    assert (code, row["state"], row["refusal"]) == (0, "tripped", "no_record")
    code, rows, said = typed(f"bridge@{rig.port}", "--allow-write", "arm")
    assert (code, rows) == (4, [])
    assert "calibration is refused (no_record)" in said
    assert rig.command("coil log") == ""


def test_only_a_bridge_has_a_contactor() -> None:
    with pytest.raises(InputError, match="no contactor"):
        held_closed("leaf@slcan:/dev/null", approve=lambda _: True, stop=Event())
