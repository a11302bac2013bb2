"""What opens the contactor, and what it takes to close it: the compiled firmware.

Lockstep with the chip models, all times emulated. Faults are injected through the
modelled peripherals and the serial line alone.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cell_bridge import Host, calibrated, flashed, stuffed, wire
from cell_faults import CASES, Layout, any_layout, apart, powered

FOLLOW_MS = 150
START_MS = 700

Boot = Callable[..., Host]


@pytest.fixture
def boot(built: Path, lockstep: Callable[..., Any], tmp_path: Path) -> Iterator[Boot]:
    """Power a bridge up; options of its calibration, or a whole record."""

    def start(
        record: bytes | None = None, board: str = "m328p", **changes: Any
    ) -> Host:
        elf = built / board / "cell_bridge.elf"
        data = record if record is not None else calibrated(**changes)
        return Host(lockstep(flashed(elf, tmp_path, data), board))

    yield start


def coil(host: Host) -> str:
    return str(host.rig.command("contactor"))


@pytest.fixture(scope="module")
def closed(
    built: Path,
    module_lockstep: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[tuple[Host, Layout]]:
    """Some bridges whose contactor is closed; a run leaves them as they are."""
    layouts = [any_layout(random.Random(seed)) for seed in range(2, 6)]
    assert len({(layout.board, len(layout.cells)) for layout in layouts}) == 4
    folder = tmp_path_factory.mktemp("images")
    return [(powered(ly, built, folder, module_lockstep), ly) for ly in layouts]


@pytest.mark.parametrize("name", CASES)
def test_a_fault_opens_the_contactor_in_time_and_latches(
    closed: list[tuple[Host, Layout]], name: str
) -> None:
    # The slow ones, of which there are many of a kind, on one bridge each.
    chosen = [random.Random(name).choice(closed)] if CASES[name].host else closed
    for host, layout in chosen:
        found = apart(host, layout, name, random.Random(name))
        assert isinstance(found, float), found
        assert found <= CASES[name].within_ms


def test_the_contactor_is_open_until_armed(boot: Boot) -> None:
    host = boot()
    host.run_ms(3000)
    assert host.rig.coil_log() == []
    assert coil(host) == "coil=0 contact=0"


def test_arming_takes_valid_scans_and_a_live_host(boot: Boot) -> None:
    host = boot()
    host.run_ms(100)
    assert host.ask("ask_arm").outcome == "not_ready"
    host.beats = False
    host.run_ms(1500)
    assert host.ask("ask_measurement").state == "ready"
    assert host.ask("ask_arm").outcome == "host_silent"
    assert coil(host) == "coil=0 contact=0"
    host.beats = True
    host.run_ms(250)
    assert host.ask("ask_arm").outcome == "done"
    host.run_ms(30)
    assert coil(host) == "coil=1 contact=1"
    assert host.ask("ask_disarm").outcome == "done"
    host.run_ms(30)
    assert coil(host) == "coil=0 contact=0"
    assert host.ask("ask_measurement").state == "ready"
    assert host.ask("ask_arm").outcome == "done"  # nothing was latched


def test_scans_before_arming_must_be_valid_in_a_row(boot: Boot) -> None:
    host = boot()
    host.run_ms(400)
    host.rig.command("afe corrupt 1")  # a single bad scan is no fault
    host.run_ms(300)
    found = host.ask("ask_measurement")
    assert (found.state, found.faults()) == ("starting", set())
    assert host.ask("ask_arm").outcome == "not_ready"
    host.run_ms(400)
    assert host.ask("ask_measurement").state == "ready"


def test_one_disturbed_scan_does_not_open_it(boot: Boot) -> None:
    host = boot()
    host.close_contactor()
    for _ in range(10):
        host.rig.command("afe corrupt 1")
        host.run_ms(37)
    found = host.ask("ask_measurement")
    assert (found.state, found.faults()) == ("closed", set())


@pytest.mark.parametrize("number", [3, 7, 15])
def test_a_repeated_heartbeat_does_not_count(boot: Boot, number: int) -> None:
    host = boot()
    host.close_contactor()
    host.beats = False
    for _ in range(12):  # a transmitter that is stuck on one frame
        host.rig.write(wire("heartbeat", number))
        host.run_ms(100)
    assert coil(host) == "coil=0 contact=0"
    assert host.ask("ask_measurement").faults() == {"host_silent"}


def test_requests_are_no_heartbeats(boot: Boot) -> None:
    host = boot()
    host.close_contactor()
    host.beats = False
    for _ in range(12):
        host.ask("ask_measurement")
        host.run_ms(100)
    assert host.ask("ask_measurement").state == "tripped"


def test_a_fault_that_lasts_cannot_be_cleared(boot: Boot) -> None:
    host = boot()
    host.close_contactor()
    host.rig.command("afe cell 0 5 43000")
    host.run_ms(50)
    assert host.ask("ask_clear").outcome == "still_faulty"
    assert host.ask("ask_measurement").faults("live") == {"over_voltage"}
    host.rig.command("afe cell 0 5 41000")
    host.run_ms(2000)
    found = host.ask("ask_measurement")
    assert found.faults("live") == set()
    assert (found.state, found.faults()) == ("tripped", {"over_voltage"})
    assert host.ask("ask_arm").outcome == "tripped"
    assert host.ask("ask_clear").outcome == "done"
    assert host.ask("ask_arm").outcome == "not_ready"


def test_clear_is_refused_while_closed(boot: Boot) -> None:
    host = boot()
    host.close_contactor()
    assert host.ask("ask_clear").outcome == "closed"
    assert coil(host) == "coil=1 contact=1"


def test_a_welded_contactor_is_reported(boot: Boot) -> None:
    host = boot()
    host.close_contactor()
    host.rig.command("contactor welded 1")
    assert host.ask("ask_disarm").outcome == "done"
    host.run_ms(FOLLOW_MS + 50)
    assert coil(host) == "coil=0 contact=1"
    found = host.ask("ask_measurement")
    assert (found.state, found.faults("live")) == ("tripped", {"contactor_welded"})
    assert found.fields["flags"] & 1
    assert host.ask("ask_clear").outcome == "still_faulty"
    host.rig.command("contactor welded 0")
    host.run_ms(50)
    assert host.ask("ask_measurement").faults() == {"contactor_welded"}
    assert host.ask("ask_clear").outcome == "done"


def test_a_contactor_that_does_not_close_is_let_go(boot: Boot) -> None:
    host = boot()
    host.run_ms(START_MS)
    host.rig.command("contactor stuck_open 1")
    assert host.ask("ask_arm").outcome == "done"
    host.run_ms(FOLLOW_MS + 50)
    assert host.ask("ask_measurement").faults() == {"contactor_not_closing"}
    (_, up), (_, down) = host.rig.coil_log()
    assert (up, down) == (1, 0)


@pytest.mark.parametrize(
    ("cause", "state", "latched"),
    [
        (1, "ready", set()),  # power-on
        (2, "ready", set()),  # the reset button, or a port that was opened
        (1 | 4, "ready", set()),  # a supply that rose slowly
        (4, "tripped", {"reset"}),  # brown-out
        (8, "tripped", {"reset"}),  # watchdog
    ],
)
def test_a_reset_opens_it_and_a_bad_one_latches(
    boot: Boot, cause: int, state: str, latched: set[str]
) -> None:
    host = boot()
    host.close_contactor()
    begun = host.rig.time_s
    assert host.rig.command(f"reset {cause}") == "ok"
    assert [level for _, level in host.rig.coil_log()] == [0]
    host.run_ms(START_MS)
    assert host.rig.coil_log() == []
    found = host.ask("ask_measurement")
    assert (found.state, found.faults()) == (state, latched)
    assert host.rig.time_s - begun < 1
    if latched:
        assert host.ask("ask_arm").outcome == "tripped"
        assert host.ask("ask_clear").outcome == "done"
        host.close_contactor()


def test_a_supply_that_dips_never_closes_it(boot: Boot) -> None:
    """Dips of any depth and length, and a host that asks for `arm` all the time."""
    host, rng = boot(), random.Random(3)
    host.close_contactor()
    for _ in range(25):
        for line in (f"supply {rng.randint(0, 4299)}", "supply 5000"):
            assert host.rig.command(line) == "ok"
            host.run_ms(rng.uniform(0.1, 150))
            host.rig.write(wire("ask_arm"))
    assert [level for _, level in host.rig.coil_log()] == [0]
    host.rig.command("supply detector 0")  # a fuse that was forgotten
    for _ in range(5):
        host.rig.command(f"supply {rng.randint(0, 1799)}")
        host.run_ms(rng.uniform(0.1, 20))
        host.rig.write(wire("ask_arm"))
        host.rig.command("supply 5000")
        host.run_ms(rng.uniform(70, 150))
    assert host.rig.coil_log() == []


def test_a_supply_that_rises_slowly_is_no_fault(boot: Boot) -> None:
    host = boot()
    host.rig.command("supply 0")
    for mv in range(0, 5000, 50):
        host.rig.command(f"supply {mv}")
        host.run_ms(2)
    host.run_ms(START_MS)
    assert host.rig.coil_log() == []
    assert host.ask("ask_identity").fields["reset_cause"] & 15 == 1 | 4
    found = host.ask("ask_measurement")
    assert (found.state, found.faults()) == ("ready", set())


def test_held_in_reset_the_line_floats(boot: Boot) -> None:
    """As long as a programmer or a bootloader wants: only the pull-down holds it."""
    host = boot()
    host.close_contactor()
    host.rig.command("reset line 1")
    for _ in range(20):
        host.rig.write(wire("ask_arm"))
        host.run_ms(100)
    assert [level for _, level in host.rig.coil_log()] == [0]
    assert coil(host) == "coil=0 contact=0"
    host.rig.command("reset line 0")
    host.run_ms(START_MS + 100)
    assert host.ask("ask_measurement").state == "ready"
    assert host.rig.coil_log() == []


@pytest.mark.parametrize(
    "record",
    [
        b"\xff" * 111,  # a blank EEPROM
        calibrated()[:-1] + b"\x00",
        calibrated(over_voltage_mv=2700),  # not above the lower limit
        calibrated(n_front_ends=2),  # without cells at the second
        calibrated(charge_max_ma=0),
    ],
    ids=["blank", "crc", "limits", "wiring", "current"],
)
def test_without_a_right_calibration_nothing_is_armed(
    boot: Boot, record: bytes
) -> None:
    host = boot(record)
    host.run_ms(START_MS)
    found = host.ask("ask_measurement")
    assert found.state == "tripped"
    assert "calibration" in found.faults("live")
    assert found.fields["flags"] & 4 == 0
    assert len(found.cell_100uv) == 12  # it measures all the same
    assert host.ask("ask_clear").outcome == "still_faulty"
    assert host.ask("ask_arm").outcome == "not_calibrated"
    assert coil(host) == "coil=0 contact=0"


def test_no_damaged_request_arms(boot: Boot) -> None:
    host = boot()
    host.run_ms(START_MS)
    frame = wire("ask_arm")
    for bit in range(8, 8 * (len(frame) - 1)):
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        host.rig.write(bytes(damaged))
        host.run_ms(2)
    host.rig.write(wire("ask_arm", hash_=0x12345678))
    host.rig.write(wire("ask_arm", payload=b"\1"))
    host.run_ms(20)
    found = host.ask("ask_measurement")
    assert found.state == "ready"
    assert found.fields["lost_lines"] >= 8 * (len(frame) - 2)
    assert host.rig.coil_log() == []


def test_noise_neither_arms_nor_keeps_alive(boot: Boot) -> None:
    host, rng = boot(), random.Random(5)
    host.close_contactor()
    host.beats = False
    for _ in range(120):  # 100 kB/s is the line rate; half of it, with short lines
        noise = rng.randbytes(500)
        host.rig.write(stuffed(noise[:40]) + b"\0" + noise)
        host.run_ms(10)
    host.rig.write(b"\0")
    host.run_ms(20)
    assert coil(host) == "coil=0 contact=0"
    found = host.ask("ask_measurement")
    assert found.faults() == {"host_silent"}
    (_, level), *more = host.rig.coil_log()
    assert (level, more) == (0, [])
