"""Targets, the gate, the poller and SLCAN lines, with scripted drivers alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from battlife.drivers.gate import Allowed, Gate, segments
from battlife.drivers.polling import Polled, Poller, Step
from battlife.drivers.target import parse_channel, parse_target
from battlife.errors import InputError
from battlife.model import Allow, Frame, Reading, Rejected, Request, Value

ASK = Request("cells", b"\x01\x02", timeout_s=0.5)
BEAT = Request("beat", b"\xbe", Allow.WAKE)
CLEAR = Request("clear", b"\xcc", Allow.WRITE)
UDS = Request("did", b"\x22\x01\x01", identifier=0x7E4, answer=0x7EC)


@dataclass(frozen=True)
class Device:
    ask: Sequence[Request] = (ASK,)
    medium: str = "serial"
    device: str = ""
    name: str = "scripted"
    description: str = ""
    bauds: Sequence[int] = (9600,)
    permitted: Sequence[Request] = (ASK, BEAT, CLEAR, UDS)
    probes: Sequence[Request] = (ASK,)
    signature: Sequence[str] = ()
    keep_alive: Sequence[Request] = (BEAT,)
    keep_alive_s: float = 0.1
    clear_faults: Sequence[Request] = (CLEAR,)

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        return self.ask

    def decoder(self) -> "Decoder":
        return Decoder()


class Decoder:
    def feed(self, frame: Frame) -> Iterable[Reading | Rejected]:
        if frame.direction == "rx" and frame.data[:1] == b"\x81":
            volts = {"voltage_v": float(frame.data[1])}
            return [Reading(frame.time_s, "", "cells", volts, frame.data)]
        return []

    def finish(self) -> Iterable[Reading | Rejected]:
        return []


@dataclass
class Wire:
    """Answers by `answer`; its clock moves when a read waits."""

    answer: Callable[[Frame], Sequence[Frame]] = lambda frame: ()
    now: float = 0.0
    channel: str = "wire"
    n_lost: int = 0
    sent: list[Frame] = field(default_factory=list)
    waiting: list[Frame] = field(default_factory=list)

    def open(self) -> None: ...
    def close(self) -> None: ...

    def send(self, frame: Frame) -> Frame:
        self.sent.append(frame)
        self.waiting += self.answer(frame)
        return frame

    def read(self, timeout_s: float) -> Frame | None:
        if self.waiting:
            return self.waiting.pop(0)
        self.now += timeout_s
        return None


def polled(wire: Wire, device: Device, seconds: float, **more: bool) -> list[Step]:
    poller = Poller(wire, [Polled("a", device)], clock=lambda: wire.now, **more)
    steps = []
    while wire.now < seconds:
        steps.append(poller.step(0.05))
    return steps


def rx(data: bytes, identifier: int | None = None) -> Frame:
    return Frame(0.0, "wire", "rx", data, identifier)


@pytest.mark.parametrize(
    "text", ["leaf", "@x", "leaf@", "a@b", "a@/x?k", "a@/x?k=1&k=2"]
)
def test_what_is_no_target_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_target(text)


def test_targets() -> None:
    found = parse_target("leaf@slcan:socket://127.0.0.1:4?bitrate=500000&dbc=a%26b")
    assert found.channel == "slcan:socket://127.0.0.1:4"
    assert dict(found.options) == {"bitrate": "500000", "dbc": "a&b"}
    assert parse_channel("COM3").medium == "serial"
    assert parse_channel("socket://h:1").medium == "serial"
    assert parse_channel("socketcan:can0").interface == "socketcan"


def test_the_gate_lets_out_only_what_is_allowed() -> None:
    wire = Wire()
    gate = Gate(wire, [Device()], Allowed())
    gate.send(Frame(0, "wire", "tx", ASK.data))
    for data in (BEAT.data, CLEAR.data):
        with pytest.raises(InputError):
            gate.send(Frame(0, "wire", "tx", data))
    for frame in (
        Frame(0, "wire", "tx", ASK.data + b"\0"),
        Frame(0, "wire", "tx", ASK.data, 0x7E4),
        Frame(0, "wire", "tx", bytes.fromhex("0314FFFFFF000000"), 0x7E4),
        Frame(0, "wire", "tx", bytes.fromhex("3000000000000000"), 0x7E5),
    ):
        with pytest.raises(ValueError, match="not permitted"):
            gate.send(frame)
    assert [f.data for f in wire.sent] == [ASK.data]
    both = Gate(wire, [Device()], Allowed(True, frozenset({"clear"})))
    for data in (BEAT.data, CLEAR.data):
        both.send(Frame(0, "wire", "tx", data))
    for data in ("0322010100000000", "3000000000000000"):
        gate.send(Frame(0, "wire", "tx", bytes.fromhex(data), 0x7E4))


def test_a_long_payload_goes_in_segments() -> None:
    request = Request("long", bytes(range(1, 11)), identifier=1, answer=2)
    assert [s.hex() for s in segments(request)] == [
        "100a010203040506",
        "210708090a000000",
    ]


def test_a_request_each_period_is_answered() -> None:
    wire = Wire(lambda f: [rx(b"\x81\x30")] if f.data == ASK.data else [])
    steps = polled(wire, Device(), 2.95)
    assert len(wire.sent) == 3
    items = [i for s in steps for i in s.items]
    assert [(n, i.values["voltage_v"]) for n, i in items] == [("a", 48.0)] * 3
    frames = [f.direction for s in steps for f in s.frames]
    assert frames == ["tx", "rx"] * 3
    assert not any(s.timeouts for s in steps)


def test_silence_is_a_timeout_and_polling_goes_on() -> None:
    wire = Wire()
    steps = polled(wire, Device(), 2.95)
    found = [t for s in steps for t in s.timeouts]
    assert [round(t.time_s, 3) for t in found] == [0.5, 1.5, 2.5]
    assert found[0].error.hint


def test_keep_alive_only_with_wake_and_in_time() -> None:
    wire = Wire()
    polled(wire, Device(ask=()), 0.95)
    assert not wire.sent
    awake = Wire()
    polled(awake, Device(), 0.95, wake=True)
    assert sum(f.data == BEAT.data for f in awake.sent) == 10


def test_an_isotp_answer_in_segments_gets_flow_control() -> None:
    def answer(frame: Frame) -> list[Frame]:
        if frame.data[0] == 3:
            return [rx(bytes.fromhex("100a620101030405"), 0x7EC)]
        return [rx(bytes.fromhex("2106070809000000"), 0x7EC)]

    wire = Wire(answer)
    device = Device(ask=(UDS,), medium="can")
    gate = Gate(wire, [device], Allowed())
    poller = Poller(gate, [Polled("a", device)], clock=lambda: wire.now)
    step = poller.step(0.2)
    assert [f.data.hex() for f in wire.sent] == ["0322010100000000", "3000000000000000"]
    assert [f.direction for f in step.frames] == ["tx", "rx", "tx", "rx"]
    while wire.now < 0.9:
        assert not poller.step(0.1).timeouts  # answered, if not understood
    assert poller.n_cycles("a") == 1


def test_slcan_lines() -> None:
    from battlife.drivers.slcan_bus import parsed

    good = parsed(b"t7E83010203")
    assert good is not None and good.arbitration_id == 0x7E8
    assert bytes(good.data) == b"\1\2\3"
    stamped = parsed(b"T18DAF1DB2AABB1234")
    assert stamped is not None and stamped.is_extended_id
    for bad in (
        b"t7E83G10203",
        b"t7E9900112233445566778899",
        b"t7E8301",
        b"t",
        b"tFFF0",
    ):
        assert parsed(bad) is None
