"""The real drivers of the host on the compiled SLCAN bridge, over a pseudo-terminal.

python-can's slcan class as it is, battlife's counting one, and the verbs of the command
line. No time is asserted: the emulated bus decides what arrives, not the clock.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import can
import pytest
from can.interfaces.slcan import slcanBus
from typer.testing import CliRunner

from battlife.cli import app
from battlife.drivers.slcan_bus import CountingSlcan

RATES = (125_000, 250_000, 500_000)
OPTIONS = {"tty_baudrate": 1_000_000, "sleep_after_open": 0}


@contextmanager
def opened(kind: type[slcanBus], rig: Any, **more: Any) -> Iterator[Any]:
    timeout = {"timeout": 0} if kind is CountingSlcan else {}
    bus = kind(rig.port, **{"bitrate": 500_000, **OPTIONS, **timeout, **more})
    try:
        yield bus
    finally:
        bus.shutdown()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for the emulation, however slow the machine."""
    end = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.005)


def received(bus: can.BusABC, count: int) -> list[can.Message]:
    messages = []
    while len(messages) < count:
        message = bus.recv(10.0)
        assert message is not None, f"{len(messages)} of {count} came"
        messages.append(message)
    return messages


def numbers(messages: list[can.Message]) -> list[int]:
    return [int.from_bytes(bytes(message.data[:4]), "big") for message in messages]


def numbered(count: int) -> list[can.Message]:
    return [
        can.Message(
            arbitration_id=0x123, is_extended_id=False, data=i.to_bytes(8, "big")
        )
        for i in range(count)
    ]


def chip(rig: Any) -> dict[str, int]:
    words = (word.split("=") for word in rig.command("can chip").split())
    return {key: int(value) for key, value in words}


def as_text(message: can.Message) -> str:
    digits = 8 if message.is_extended_id else 3
    data = f"R{message.dlc}" if message.is_remote_frame else message.data.hex().upper()
    return f"{message.arbitration_id:0{digits}X}#{data}"


MESSAGES = [
    can.Message(arbitration_id=0x7FF, is_extended_id=False, data=b""),
    can.Message(arbitration_id=0x1FFFFFFF, is_extended_id=True, data=bytes(range(8))),
    can.Message(arbitration_id=0x12, is_extended_id=False, is_remote_frame=True, dlc=8),
    can.Message(arbitration_id=0x12, is_extended_id=True, is_remote_frame=True, dlc=0),
]


@pytest.mark.parametrize("kind", [slcanBus, CountingSlcan])
@pytest.mark.parametrize("board", ["m328p", "m2560"])
def test_all_that_python_can_sends(pty_rig, kind: type[slcanBus], board: str) -> None:
    rig = pty_rig("slcan_bridge", board)
    with opened(kind, rig) as bus:
        assert bus.get_version(10.0) == (10, 10)
        assert bus.get_serial_number(10.0) == "BL01"
        for message in MESSAGES:
            bus.send(message)
            rig.command(f"can send {as_text(message)}")
        came = received(bus, len(MESSAGES))
        assert [as_text(message) for message in came] == [*map(as_text, MESSAGES)]
        expected = " ".join(map(as_text, MESSAGES))
        sent = []
        until(
            lambda: (
                " ".join(sent).strip() == expected
                or bool(sent.append(rig.command("can sent")))
            ),
            "not all was sent",
        )
    until(lambda: chip(rig)["mode"] == 4, "shutdown closes the channel")
    # Registers, listen-only and CAN FD.
    timing = can.BitTiming.from_registers(8_000_000, btr0=0x01, btr1=0x1C)
    rig.command("can bitrate 250000")
    with opened(slcanBus, rig, timing=timing, bitrate=None) as bus:
        until(lambda: chip(rig)["bit_rate"] == 250_000, "timing by registers")
    with opened(slcanBus, rig, bitrate=250_000, listen_only=True) as bus:
        until(lambda: chip(rig)["mode"] == 3, "listen only")


def test_the_unmodified_class_can_count_what_was_refused(pty_rig) -> None:
    """It reads no answers: the line itself has one for each frame."""
    rig = pty_rig("slcan_bridge")
    rig.command("can bitrate 125000")
    with opened(slcanBus, rig, bitrate=125_000) as bus:
        for message in numbered(200):
            bus.send(message)
        answers = b""

        def answered() -> bool:
            nonlocal answers
            answers += bus.serialPortOrig.read(4096)
            return answers.count(b"z\r") + answers.count(b"\a") >= 200 + 2

        until(answered, "an answer to each frame")
        # Two refusals belong to opening: C of a closed channel and the second O.
        n_refused = answers.count(b"\a") - 2
        n_taken = answers.count(b"z\r")
        assert (n_taken + n_refused, n_refused > 0) == (200, True)
        bus._write("F")
        until(lambda: b"F02\r" in answers or bool(answered()) and False, "flags")
        until(lambda: "node_sent=" + str(n_taken) in rig.command("can bus"), "sent")
        assert len(rig.command("can sent").split()) == n_taken


@pytest.mark.parametrize("kind", [slcanBus, CountingSlcan])
@pytest.mark.parametrize("rate", RATES)
def test_a_full_bus_arrives(pty_rig, kind: type[slcanBus], rate: int) -> None:
    rig = pty_rig("slcan_bridge")
    rig.command(f"can bitrate {rate}")
    with opened(kind, rig, bitrate=rate) as bus:
        until(lambda: chip(rig)["mode"] == 0, "open")
        rig.command("can load 300 0 321 8")
        assert numbers(received(bus, 300)) == list(range(300))
        if kind is CountingSlcan:
            assert bus.n_lost == 0


@pytest.mark.parametrize("rate", RATES)
def test_sent_back_to_back_all_arrive(pty_rig, rate: int) -> None:
    rig = pty_rig("slcan_bridge")
    rig.command(f"can bitrate {rate}")
    with opened(CountingSlcan, rig, bitrate=rate) as bus:
        for message in numbered(200):
            bus.send(message)
    assert bus.n_lost == 0
    sent = rig.command("can sent").split()
    assert sent == [as_text(message) for message in numbered(200)]


@pytest.mark.parametrize("rate", RATES)
def test_both_ways_at_once(pty_rig, rate: int) -> None:
    rig = pty_rig("slcan_bridge")
    rig.command(f"can bitrate {rate}")
    with opened(CountingSlcan, rig, bitrate=rate) as bus:
        until(lambda: chip(rig)["mode"] == 0, "open")
        rig.command("can load 200 0 321 8")  # ours win the arbitration
        for message in numbered(100):
            bus.send(message)
        until(lambda: rig.command("can unsent") == "0", "the load ends")
        came = []
        while (message := bus.recv(0.3)) is not None:
            came.append(message)
    arrived = numbers(came)
    assert arrived == sorted(set(arrived))
    n_lost = chip_lost = chip(rig)["lost"]  # closing does not clear it
    assert len(arrived) + n_lost == 200
    assert (bus.n_lost > 0) == (chip_lost > 0)
    sent = rig.command("can sent").split()
    assert sent == [as_text(message) for message in numbered(100)]


def test_overruns_are_counted_even_at_the_end(pty_rig) -> None:
    rig = pty_rig("slcan_bridge")
    rig.command("can bitrate 1000000")
    with opened(CountingSlcan, rig, bitrate=1_000_000) as bus:
        until(lambda: chip(rig)["mode"] == 0, "open")
        bus._write("F")  # what it does itself after a second
        until(lambda: bus.recv(0.01) is None and bool(bus._knows_status), "status")
        rig.command("can load 600 0 321 8")
        until(lambda: rig.command("can unsent") == "0", "the load ends")
        came = []
        while (message := bus.recv(0.3)) is not None:
            came.append(message)
    n_lost = chip(rig)["lost"]
    assert (len(came) + n_lost, n_lost > 0) == (600, True)
    assert bus.n_overflows >= 1


def test_a_stuck_bus_is_said(pty_rig) -> None:
    rig = pty_rig("slcan_bridge")
    with opened(CountingSlcan, rig) as bus:
        until(lambda: chip(rig)["mode"] == 0, "open")
        rig.command("can ack 0")
        n_sent = 0
        with pytest.raises(can.CanTimeoutError, match="took no frame"):
            for message in numbered(200):
                bus.send(message, timeout=0.2)
                n_sent += 1
        assert n_sent >= 16
    assert bus.n_lost > 0


@pytest.mark.parametrize("rate", [500_000, 1_000_000])
def test_a_recording_knows_of_lost_frames(pty_rig, rate: int, tmp_path: Path) -> None:
    """At 1 Mbit/s the bus carries more than the serial line can."""
    rig = pty_rig("slcan_bridge")
    rig.command(f"can bitrate {rate}")
    target = f"lv_can@slcan:{rig.port}?bitrate={rate}&tty_baud=1000000"
    (tmp_path / "rig.toml").write_text(
        f'[rig]\nname = "emulated"\n[[device]]\nname = "pack"\ntarget = "{target}"\n'
        "period_s = 1.0\n"
    )
    out = tmp_path / "out.h5"
    rig.command("can load 3000 1000 351 8")  # something from the start
    rig.command("can load 2000 0 356 8")  # in the last second at the latest
    words = ["record", str(tmp_path / "rig.toml"), "-o", str(out), "--unit", "P1"]
    done = CliRunner().invoke(app, [*words, "--duration", "6", "--no-limits", "--json"])
    assert done.exit_code == 0, done.output
    (line,) = (json.loads(row) for row in done.stdout.splitlines())
    n_lost = chip(rig)["lost"]
    assert (line["n_lost"] > 0) == (n_lost > 0) == (rate == 1_000_000)
    assert line["n_frames"] > 0
