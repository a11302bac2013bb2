"""What the compiled cell bridge measures and says, in emulation with chip models."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cell_bridge import HASH, Host, calibrated, flashed, ntc_code, stuffed, wire

MISSING_U16, MISSING_I16, MISSING_I32 = 0xFFFF, -32768, -(2**31)
START_MS = 700
SCAN_MS = 10

Boot = Callable[..., Host]


@pytest.fixture
def boot(built: Path, lockstep: Callable[..., Any], tmp_path: Path) -> Iterator[Boot]:
    """Power a bridge up with the options of its calibration."""

    def start(board: str = "m328p", **changes: Any) -> Host:
        elf = built / board / "cell_bridge.elf"
        return Host(lockstep(flashed(elf, tmp_path, calibrated(**changes)), board))

    yield start


def settled(host: Host) -> Any:
    """Return a measurement of what the inputs are now."""
    host.run_ms(3 * SCAN_MS)
    return host.ask("ask_measurement")


def test_the_models_checksum_is_the_data_sheets(boot: Boot) -> None:
    rig = boot().rig
    assert rig.command("afe pec 0001") == "3d6e"
    assert rig.command("afe pec 0004") == "07c2"  # RDCVA, in the maker's own code


def test_no_command_of_the_driver_has_a_wrong_checksum(boot: Boot) -> None:
    host = boot()
    host.run_ms(START_MS)
    words = dict(w.split("=") for w in host.rig.command("afe stat").split())
    assert int(words["bad_pec"]) == 0
    assert int(words["conversions"]) >= 60
    assert host.rig.stat()["spi_contentions"] == 0


@pytest.mark.parametrize("board", ["m328p", "m2560"])
def test_every_cell_has_its_place_and_value(boot: Boot, board: str) -> None:
    host, rng = boot(board), random.Random(board)
    host.run_ms(START_MS)
    for _ in range(5):
        codes = [rng.randint(0, 57_000) for _ in range(12)]
        for i, code in enumerate(codes):
            host.rig.command(f"afe cell 0 {i} {code}")
        assert list(settled(host).cell_100uv) == codes


def test_a_chain_of_two_front_ends(boot: Boot) -> None:
    host = boot(n_front_ends=2, cells_first=9, cells_second=7)
    host.rig.command("afe chips 2")
    codes = {(c, i): 30_000 + 1000 * c + 100 * i for c in (0, 1) for i in range(12)}
    for (chip, cell), code in codes.items():
        host.rig.command(f"afe cell {chip} {cell} {code}")
    host.run_ms(START_MS)
    found = settled(host)
    expected = [codes[0, i] for i in range(9)] + [codes[1, i] for i in range(7)]
    assert list(found.cell_100uv) == expected
    assert found.state == "ready"
    host.rig.command("afe mute 1")  # the link between the two breaks
    broken = settled(host)
    assert broken.faults() == {"front_end_pec"}
    assert set(broken.cell_100uv) == {MISSING_U16}  # of none is anything claimed


def test_a_chain_shorter_than_configured_is_a_fault(boot: Boot) -> None:
    host = boot(n_front_ends=2, cells_second=12)
    host.run_ms(START_MS)
    assert host.ask("ask_measurement").faults() == {"front_end_pec"}


def test_corrections_of_the_cells(boot: Boot) -> None:
    gains = [-5000, -4321, -1, 0, 1, 777, 5000, 0, 0, 0, 0, 0]
    offsets = [0, -128, 3, 0, 0, 127, 0, 1, 2, 3, 4, 5]
    host = boot(cell_gain_ppm=gains, cell_offset_100uv=offsets)
    host.run_ms(START_MS)
    for code in (0, 1, 100, 29_999, 36_000, 41_234, 65_000):
        host.rig.command(f"afe all {code}")
        found = settled(host).cell_100uv
        for value, gain, offset in zip(found, gains, offsets, strict=True):
            exact = code * (1 + gain / 1e6) + offset
            assert abs(value - min(max(exact, 0), 65534)) <= 1


def test_current_has_sign_scale_and_zero(boot: Boot) -> None:
    for zero, ua in ((8192, 12500), (8000, -6250)):
        limits = {"charge_max_ma": 40_000, "discharge_max_ma": 40_000}
        host = boot(current_zero=zero, current_ua=ua, **limits)
        host.run_ms(100)
        for code in (0, 1000, 2000, 2048, 3000, 4095):
            host.rig.command(f"analog 0 {code}")
            ma = settled(host).fields["current_ma"]
            assert ma == pytest.approx((4 * code - zero) * ua / 1000, abs=1)


def test_temperatures_over_the_range_of_the_ntc(boot: Boot) -> None:
    host = boot(temperature_offset_cdegc=[0, 0, 0, -123])
    host.run_ms(100)
    for degc in range(-29, 95, 4):
        for sensor in range(4):
            host.rig.command(f"analog {1 + sensor} {ntc_code(degc)}")
        found = settled(host).temperature_cdegc
        for value in (*found[:3], found[3] + 123):
            assert value / 100 == pytest.approx(degc, abs=0.35)


@pytest.mark.parametrize("code", [0, 100, 300, 3905, 4000, 4095])
def test_an_ntc_that_is_off_has_no_temperature(boot: Boot, code: int) -> None:
    host = boot()
    host.rig.command(f"analog 3 {code}")
    host.run_ms(START_MS)
    found = host.ask("ask_measurement")
    assert found.temperature_cdegc == (2500, 2500, MISSING_I16, 2500)
    assert found.faults() == {"temperature_sensor"}


def test_a_dead_converter_claims_nothing(boot: Boot) -> None:
    host = boot()
    host.rig.command("analog dead 1")
    host.run_ms(START_MS)
    found = host.ask("ask_measurement")
    assert set(found.temperature_cdegc) == {MISSING_I16}
    assert found.fields["current_ma"] == MISSING_I32
    assert found.faults() == {"current_sensor", "temperature_sensor"}
    assert set(found.cell_100uv) == {36_000}


def test_a_front_end_that_slept_is_woken(boot: Boot) -> None:
    host = boot()
    host.run_ms(100)
    host.rig.command("spi hung 1")  # for longer than the 1.8 s after which it sleeps
    host.run_ms(2500)
    host.rig.command("spi hung 0")
    host.run_ms(300)
    words = dict(w.split("=") for w in host.rig.command("afe stat").split())
    assert int(words["sleeps"]) == 1
    assert set(host.ask("ask_measurement").cell_100uv) == {36_000}


def test_scans_come_each_ten_ms(boot: Boot) -> None:
    host = boot()
    host.run_ms(200)
    first = host.ask("ask_measurement")
    host.run_ms(2000)
    last = host.ask("ask_measurement")
    per_scan = (last.time_ms - first.time_ms) / (
        last.fields["scan"] - first.fields["scan"]
    )
    assert SCAN_MS <= per_scan <= SCAN_MS + 1


def test_answers_are_numbered_and_dated(boot: Boot) -> None:
    host = boot()
    host.run_ms(100)
    for i in range(20):
        answer = host.ask("ask_measurement")
        assert answer.sequence == i
        assert 0 <= 1000 * host.rig.time_s - answer.time_ms <= SCAN_MS + 6


def test_a_stream_of_requests_delays_no_scan(boot: Boot) -> None:
    host = boot()
    host.run_ms(START_MS)
    before = host.ask("ask_measurement").fields["scan"]
    for _ in range(500):  # two requests a millisecond, more than it can answer
        host.rig.write(wire("ask_measurement") * 2)
        host.run_ms(1)
    host.run_ms(50)
    after = host.ask("ask_measurement")
    assert after.state == "ready"
    assert after.fields["scan"] - before >= 45
    numbers = [a.sequence for a in host.heard if a.message == "measurement"]
    assert numbers == sorted(numbers)
    assert len(numbers) > 200


def test_another_protocol_is_answered_with_who_it_is_and_not_obeyed(boot: Boot) -> None:
    host = boot()
    host.run_ms(START_MS)
    for message in ("ask_identity", "ask_measurement", "ask_arm", "ask_disarm"):
        before = len(host.pending())
        host.rig.write(wire(message, hash_=HASH ^ 1))
        host.run_ms(5)
        (answer,) = host.pending()[before:]
        assert answer.message == "identity"
        assert answer.fields["hash"] == HASH
    assert host.ask("ask_measurement").state == "ready"


def test_its_own_answers_are_not_answered(boot: Boot) -> None:
    host = boot()
    host.run_ms(START_MS)
    host.rig.read()
    for message in ("identity", "measurement", "outcome"):
        host.rig.write(wire(message))
        host.rig.write(wire(message, hash_=0))
    host.run_ms(20)
    assert host.rig.read() == b""


def test_lines_that_are_no_frames_are_counted(boot: Boot) -> None:
    host = boot()
    host.run_ms(100)
    host.rig.write(b"\0" * 10)  # empty ones are not
    host.rig.write(b"junk\0" + stuffed(b"short") + b"\0" + b"\x01" * 130 + b"\0")
    host.rig.write(b"\x55" * 600 + b"\0")
    host.run_ms(30)
    assert host.ask("ask_measurement").fields["lost_lines"] == 4
