"""The answering side of ISO-TP, frame by frame and against can-isotp."""

from collections import deque

import isotp
import pytest

from battlife.simulate.can_bus import BusFrame
from battlife.simulate.isotp_server import IsoTpServer

LONG = bytes(range(200))


class Asked:
    """Keeps the requests and gives one answer."""

    def __init__(self, answer: bytes | None) -> None:
        self.requests: list[bytes] = []
        self.answer = answer

    def __call__(self, request: bytes, now_s: float) -> bytes | None:
        self.requests.append(request)
        return self.answer


def host(data: str) -> BusFrame:
    return BusFrame(0x79B, bytes.fromhex(data))


def datas(frames: list[BusFrame]) -> list[str]:
    return [f.data.hex() for f in frames]


def test_a_short_answer_is_one_frame() -> None:
    asked = Asked(b"\x61\x04\x01")
    server = IsoTpServer(0x79B, 0x7BB, asked)
    assert datas(server.take(host("0221040000000000"), 0.0)) == ["0361040100000000"]
    assert asked.requests == [b"\x21\x04"]
    bare = IsoTpServer(0x79B, 0x7BB, asked, padding=None)
    assert datas(bare.take(host("022104"), 0.0)) == ["03610401"]


@pytest.mark.parametrize("data", ["", "00", "0821", "03210", "0521", "F0", "4021"])
def test_what_is_no_request_is_not_answered(data: str) -> None:
    asked = Asked(b"\x61")
    server = IsoTpServer(0x79B, 0x7BB, asked)
    assert server.take(host(data if len(data) % 2 == 0 else data + "4"), 0.0) == []
    assert asked.requests == []


def test_the_block_size_of_the_host_is_kept() -> None:
    server = IsoTpServer(0x79B, 0x7BB, Asked(LONG[:30]))
    (first,) = server.take(host("022102"), 0.0)
    assert first.data == b"\x10\x1e" + LONG[:6]
    assert server.due(0.5) == []  # nothing before the host permits it
    assert datas(server.take(host("300200"), 0.5)) == [
        "21" + LONG[6:13].hex(),
        "22" + LONG[13:20].hex(),
    ]
    assert server.due(0.6) == []
    assert datas(server.take(host("300200"), 0.6)) == [
        "23" + LONG[20:27].hex(),
        "24" + LONG[27:30].hex() + "00000000",
    ]
    assert server.take(host("300200"), 0.7) == []


@pytest.mark.parametrize(
    ("separation", "wait_s"), [("19", 0.025), ("7F", 0.127), ("F3", 0.0003)]
)
def test_frames_are_not_closer_than_the_host_wants(
    separation: str, wait_s: float
) -> None:
    server = IsoTpServer(0x79B, 0x7BB, Asked(LONG[:27]))
    server.take(host("022102"), 0.0)
    assert len(server.take(host("3000" + separation), 1e-3)) == 1
    assert server.due(1e-3 + 0.9 * wait_s) == []
    assert len(server.due(1e-3 + 1.1 * wait_s)) == 1
    assert server.due(1e-3 + 1.9 * wait_s) == []
    assert len(server.due(1e-3 + 2.3 * wait_s)) == 1
    assert server.due(9.0) == []


def test_a_host_that_never_permits_is_given_up() -> None:
    server = IsoTpServer(0x79B, 0x7BB, Asked(LONG))
    server.take(host("022102"), 0.0)
    assert server.due(1.1) == []
    assert server.take(host("300000"), 1.2) == []


def test_a_host_may_ask_to_wait_or_say_that_it_is_too_much() -> None:
    server = IsoTpServer(0x79B, 0x7BB, Asked(LONG[:20]))
    server.take(host("022102"), 0.0)
    assert server.take(host("310000"), 0.9) == []
    assert len(server.take(host("300000"), 1.8)) == 2
    server.take(host("022102"), 2.0)
    assert server.take(host("320000"), 2.1) == []
    assert server.take(host("300000"), 2.2) == []


def test_a_new_request_ends_the_answer_to_the_old_one() -> None:
    server = IsoTpServer(0x79B, 0x7BB, Asked(LONG))
    server.take(host("022102"), 0.0)
    server.take(host("300119"), 0.0)
    (first,) = server.take(host("022101"), 0.01)
    assert first.data[:2] == b"\x10\xc8"
    assert server.due(0.1) == []


def test_a_long_request_is_put_together() -> None:
    asked = Asked(b"\x54")
    server = IsoTpServer(0x79B, 0x7BB, asked, block_size=1, separation_ms=5)
    assert datas(server.take(host("1010000102030405"), 0.0)) == ["3001050000000000"]
    assert datas(server.take(host("21060708090a0b0c"), 0.1)) == ["3001050000000000"]
    assert datas(server.take(host("220d0e0f"), 0.2)) == ["0154000000000000"]
    assert asked.requests == [bytes(range(16))]


@pytest.mark.parametrize(
    ("second", "at_s"),
    [("22060708090a0b0c", 0.1), ("21060708090a0b0c", 1.5), ("2106", 0)],
)
def test_a_broken_long_request_is_forgotten(second: str, at_s: float) -> None:
    asked = Asked(b"\x54")
    server = IsoTpServer(0x79B, 0x7BB, asked)
    server.take(host("1010000102030405"), 0.0)
    assert server.take(host(second), at_s) == []
    assert server.take(host("220d0e0f"), at_s) == []
    assert asked.requests == []


def test_a_request_of_more_than_4095_bytes_is_declined() -> None:
    server = IsoTpServer(0x79B, 0x7BB, Asked(b"\x54"))
    assert datas(server.take(host("1000000010000001"), 0.0)) == ["3200000000000000"]


def test_only_its_own_identifier_is_for_it() -> None:
    server = IsoTpServer(0x18DADBF1, 0x18DAF1DB, Asked(b"\x54"), extended=True)
    assert server.is_for(BusFrame(0x18DADBF1, b"\x01\x3e", extended=True))
    assert not server.is_for(BusFrame(0x0DB, b"\x01\x3e"))
    assert not server.is_for(BusFrame(0x18DADBF1, b"", extended=True, remote=True))


@pytest.mark.parametrize("block_size", [0, 1, 3])
@pytest.mark.parametrize("length", [7, 8, 13, 14, 198, 4095])
def test_can_isotp_understands_it(length: int, block_size: int) -> None:
    answer = bytes(i & 0xFF for i in range(length))
    asked = Asked(answer)
    server = IsoTpServer(0x79B, 0x7BB, asked, padding=0xAA)
    to_host: deque[isotp.CanMessage] = deque()

    def send(message: isotp.CanMessage) -> None:
        frames = server.take(BusFrame(message.arbitration_id, message.data), 0.0)
        for f in frames:
            to_host.append(isotp.CanMessage(f.identifier, data=f.data))

    logic = isotp.TransportLayerLogic(
        rxfn=lambda timeout: to_host.popleft() if to_host else None,
        txfn=send,
        address=isotp.Address(txid=0x79B, rxid=0x7BB),
        params={"blocksize": block_size, "stmin": 0},
    )
    request = bytes(range(40))  # long as well: its own flow control is needed
    logic.send(request)
    for _ in range(3000):
        logic.process()
        if logic.available():
            break
    assert asked.requests == [request]
    assert logic.recv() == answer
