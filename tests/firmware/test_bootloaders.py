"""A reset with a closed contactor is latched, whatever a bootloader does to its cause.

Most bootloaders clear the register of reset causes before the firmware sees it. So the
firmware does not rely on it: it keeps a mark in memory while the contactor is commanded
closed, and until a reset in that state has been cleared by the host.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cell_bridge import Host, calibrated, flashed
from toolchain import FIRMWARE

START_MS = 700
MARKED = 0x10
HIDES = Path(__file__).with_name("hides_reset_cause.S")


@pytest.fixture(scope="module")
def hiding(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cell bridge behind code that clears the reset cause before it."""
    build = tmp_path_factory.mktemp("hiding")
    command = ["make", "-s", "-C", str(FIRMWARE), f"BUILD={build}", f"EXTRA={HIDES}"]
    command.append(str(build / "m328p" / "cell_bridge.elf"))
    subprocess.run(command, check=True, capture_output=True)
    return build / "m328p" / "cell_bridge.elf"


@pytest.fixture
def start(lockstep: Callable[..., Any], tmp_path: Path) -> Callable[[Path], Host]:
    return lambda elf: Host(lockstep(flashed(elf, tmp_path, calibrated())))


def cause(host: Host) -> int:
    return host.ask("ask_identity").fields["reset_cause"]


@pytest.mark.parametrize("number", [1, 2, 4, 8])
def test_any_reset_while_closed_is_latched_where_its_cause_is_hidden(
    hiding: Path, start: Callable[[Path], Host], number: int
) -> None:
    host = start(hiding)
    host.close_contactor()
    host.rig.command(f"reset {number}")
    host.run_ms(START_MS)
    assert [level for _, level in host.rig.coil_log()] == [0]
    assert cause(host) == MARKED
    found = host.ask("ask_measurement")
    assert (found.state, found.faults()) == ("tripped", {"reset"})
    assert host.ask("ask_arm").outcome == "tripped"
    assert host.ask("ask_clear").outcome == "done"
    host.close_contactor()


def test_a_hung_firmware_is_latched_where_its_cause_is_hidden(
    hiding: Path, start: Callable[[Path], Host]
) -> None:
    host = start(hiding)
    host.close_contactor()
    host.rig.command("spi hung 1")
    host.run_ms(100)
    host.rig.command("spi hung 0")
    host.run_ms(START_MS)
    assert [level for _, level in host.rig.coil_log()] == [0]
    found = host.ask("ask_measurement")
    assert (found.state, found.faults()) == ("tripped", {"reset"})


def test_a_reset_while_open_is_not(hiding: Path, start: Callable[[Path], Host]) -> None:
    host = start(hiding)
    host.run_ms(START_MS)
    assert cause(host) == 0
    host.close_contactor()
    assert host.ask("ask_disarm").outcome == "done"
    host.run_ms(20)
    host.rig.command("reset 8")
    host.run_ms(START_MS)
    assert cause(host) == 0
    assert host.ask("ask_measurement").state == "ready"


def test_it_stays_latched_over_more_resets_until_it_is_cleared(
    hiding: Path, start: Callable[[Path], Host]
) -> None:
    host = start(hiding)
    host.close_contactor()
    for _ in range(3):
        host.rig.command("reset 2")
        host.run_ms(START_MS)
        assert cause(host) == MARKED
        assert host.ask("ask_measurement").faults() == {"reset"}
    assert host.ask("ask_clear").outcome == "done"
    host.run_ms(20)
    host.rig.command("reset 2")
    host.run_ms(START_MS)
    assert cause(host) == 0
    assert host.ask("ask_measurement").state == "ready"


def test_a_cause_that_is_not_hidden_is_told_beside_the_mark(
    built: Path, start: Callable[[Path], Host]
) -> None:
    host = start(built / "m328p" / "cell_bridge.elf")
    host.close_contactor()
    host.rig.command("reset 2")  # a port was opened: that opens it, and is no fault
    host.run_ms(START_MS)
    assert cause(host) == 2 | MARKED
    assert host.ask("ask_measurement").state == "ready"
