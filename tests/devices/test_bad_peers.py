"""What is at the other end may be anything: it is told, and nothing waits for ever."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from battlife.drivers import slcan_bus
from battlife.drivers.session import Session
from battlife.drivers.slcan_bus import CountingSlcan
from battlife.errors import HardwareError, ProtocolError
from battlife.simulate import running

WRONG = bytes.fromhex(
    "DD03001D0588000074FB759401572E9D00000000000061630304030BEC0BDB0BD5F83177"
)
"""JBD_STATE of test_live_verbs with one bit flipped."""


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Serve a client whose every request gets this answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                while client.recv(4096):
                    client.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_a_reading_without_one_right_message_is_an_error() -> None:
    with (
        answering(WRONG) as channel,
        Session(f"jbd_uart@{channel}") as pack,
        pytest.raises(ProtocolError, match="checksum"),
    ):
        pack.read(2.0)


def test_an_slcan_port_that_is_taken_is_busy_and_undisturbed() -> None:
    with running("leaf", clock=lambda: 0.0) as device:
        with Session(f"leaf@{device.channel}") as pack:
            with pytest.raises(HardwareError, match="busy"):
                Session(f"leaf@{device.channel}")
            assert pack.read().values["voltage_v"]
        assert device.received.count(b"S6\r") == 1
        with Session(f"leaf@{device.channel}") as again:
            assert again.read().values["voltage_v"]


def test_junk_without_end_holds_no_slcan_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = CountingSlcan("loop://", bitrate=500_000, sleep_after_open=0, timeout=0)
    n_reads = 0

    def junk(port: object, timeout_s: float) -> bytes:
        nonlocal n_reads
        n_reads += 1
        assert n_reads < 100
        return b"\x80junk\r"

    with monkeypatch.context() as patch:
        patch.setattr(slcan_bus, "received", junk)
        assert bus.recv(0.0) is None
    assert bus.n_lost > 0
    bus.shutdown()
