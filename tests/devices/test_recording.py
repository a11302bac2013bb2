"""Recordings over real transports: python-can's virtual bus and pseudo-terminals."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import can
import numpy as np
import pytest

import scripted_families
from battlife import _plugins
from battlife.archive import open_archive, verify_archive
from battlife.errors import HardwareError, InputError
from battlife.recording.alarms import Alarm
from battlife.recording.recorder import record
from battlife.recording.recovering import recover
from battlife.recording.rig import Limits, Rig, RigDevice
from battlife.recording.status import Status
from battlife.simulate import running
from scripted_rig import CELLS_ID, cells_frame
from scripted_serial import answer

LIMITS = Limits(cell_voltage_max_v=4.2)


@pytest.fixture
def families(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_plugins, "names", scripted_families.names)
    monkeypatch.setattr(_plugins, "load_one", scripted_families.load_one)


@contextmanager
def serial_devices(*addresses: int) -> Iterator[str]:
    """Serve devices on one pseudo-terminal; gives its path."""
    pytest.importorskip("pty", reason="pseudo-terminals are POSIX")
    import tty

    server, client = os.openpty()
    tty.setraw(client)
    done = threading.Event()
    os.set_blocking(server, False)

    def serve() -> None:
        held = b""
        while not done.is_set():
            try:
                held += os.read(server, 100)
            except BlockingIOError:
                done.wait(0.002)
                continue
            while len(held) >= 2:
                if held[1] in addresses:
                    os.write(server, answer(held[1], [3700 + held[1]] * 16))
                held = held[2:]

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(client)
    finally:
        done.set()
        thread.join()
        os.close(server)
        os.close(client)


def rig_of(*targets: str, unit: bool = False) -> Rig:
    devices = tuple(
        RigDevice(f"d{i}", target, 0.05, f"u{i}" if unit else "")
        for i, target in enumerate(targets)
    )
    return Rig("bench", devices, limits=LIMITS)


def until(count: int, stop: threading.Event) -> object:
    """Return an on_update that stops when so many frames are safe, or after 10 s."""
    begun = time.monotonic()

    def look(status: Status) -> None:
        if status.n_acknowledged >= count or time.monotonic() > begun + 10:
            stop.set()

    return look


def test_a_can_bus_and_a_shared_serial_line_are_one_archive(
    tmp_path: Path, families: None
) -> None:
    out = tmp_path / "a.h5"
    stop = threading.Event()
    with (
        can.Bus("recording", interface="virtual") as bus,
        serial_devices(1, 2) as port,
    ):
        rig = rig_of(
            "scripted@virtual:recording",
            f"scripted_serial@{port}?address=1",
            f"scripted_serial@{port}?address=2",
            unit=True,
        )

        def send() -> None:
            while not stop.wait(0.005):
                data = cells_frame(0.0, 3.9, 3.9, 3.9, 3.9).data
                bus.send(
                    can.Message(
                        arbitration_id=CELLS_ID, data=data, is_extended_id=False
                    )
                )

        sender = threading.Thread(target=send)
        sender.start()
        found = record(rig, out, stop=stop, on_update=until(100, stop))
        stop.set()
        sender.join()
    assert found.units == ("u0", "u1", "u2")
    assert found.simulated  # neither a virtual bus nor a pseudo-terminal is hardware
    assert found.n_lost == 0
    assert verify_archive(out, {}).integrity == "intact"
    with open_archive(out) as archive:
        means = [archive.trace(u).columns["cell_voltage_v"][0, 0] for u in found.units]
    assert means == [3.9, 3.701, 3.702]


def test_a_device_that_is_not_there_is_counted_and_the_other_goes_on(
    tmp_path: Path, families: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    told: list[Status] = []

    def look(status: Status) -> None:
        told.append(status)
        if status.n_timeouts:
            stop.set()

    with serial_devices(1) as port:
        rig = rig_of(
            f"scripted_serial@{port}?address=1",
            f"scripted_serial@{port}?address=7",
            unit=True,
        )
        found = record(
            rig, tmp_path / "a.h5", stop=stop, on_update=look, duration_s=10.0
        )
    assert found.n_timeouts > 0
    assert "timeouts" in {n.code for n in found.notices}
    assert "no_values" in {n.code for n in found.notices}
    assert "cell_voltage_v" in told[-1].values["d0"]
    assert "d1" not in told[-1].values


def test_a_port_that_does_not_exist_is_told_before_anything_is_written(
    tmp_path: Path, families: None
) -> None:
    rig = rig_of("scripted_serial@/dev/no-such-port?address=1")
    with pytest.raises(HardwareError):
        record(rig, tmp_path / "a.h5", unit="4711")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (["scripted_serial@/dev/x?address=1"] * 2, "are one device"),
        (
            [
                "scripted_serial@/dev/x?address=1&baud=9600",
                "scripted_serial@/dev/x?address=2&baud=19200",
            ],
            "has both baud",
        ),
        (["scripted@/dev/x"], "is none"),
        (["nothing@/dev/x"], "no protocol"),
    ],
)
def test_targets_that_do_not_fit_are_refused(
    tmp_path: Path, families: None, targets: list[str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        record(rig_of(*targets), tmp_path / "a.h5", unit="4711")
    assert list(tmp_path.iterdir()) == []


def test_a_simulated_pack_is_recorded_marked_and_read_back(tmp_path: Path) -> None:
    out = tmp_path / "a.h5"
    stop = threading.Event()
    alarms: list[Alarm] = []
    with running("jbd_uart") as device:
        rig = rig_of(f"jbd_uart@{device.channel}")
        truth = device.truth()
        found = record(
            rig,
            out,
            unit="4711",
            stop=stop,
            on_update=until(40, stop),
            on_alarm=alarms.append,
        )
    assert found.simulated
    with open_archive(out) as archive:
        trace = archive.trace("4711")
    cells = truth["cell_voltage_v"]
    assert isinstance(cells, tuple)
    assert trace.columns["cell_voltage_v"].shape[0] == len(cells)
    # The grid begins with whatever is answered first: cells are NaN until theirs.
    volts = trace.columns["cell_voltage_v"]
    heard = np.flatnonzero(np.isfinite(volts).all(axis=0))
    assert volts[:, heard[0]] == pytest.approx(cells, abs=0.05)
    with pytest.raises(InputError):
        recover(tmp_path / "a.h5.journal", out)
