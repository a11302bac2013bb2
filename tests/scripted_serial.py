"""A serial device family for tests: asked with "Q<address>", answers 16 cells."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from battlife.errors import ProtocolError
from battlife.model import Frame, Reading, Rejected, Request, Value
from battlife.wire.checksums import sum16

LENGTH = 2 + 32 + 2
MOST = 1024


def answer(address: int, millivolts: Sequence[int]) -> bytes:
    """Return what device `address` answers."""
    body = b"A" + bytes([address]) + struct.pack(">16H", *millivolts)
    return body + struct.pack(">H", sum16(body))


@dataclass
class _Decoder:
    held: bytes = b""

    def feed(self, frame: Frame) -> Iterable[Reading | Rejected]:
        if frame.direction == "tx":
            return
        self.held = (self.held + frame.data)[-MOST:]
        while (at := self.held.find(b"A")) >= 0 and len(self.held) >= at + LENGTH:
            raw = self.held[at : at + LENGTH]
            device = str(raw[1])
            if sum16(raw[:-2]) != int.from_bytes(raw[-2:]):
                self.held = self.held[at + 1 :]
                error = ProtocolError("wrong sum", "check the wires")
                yield Rejected(frame.time_s, device, error, raw, "cells")
                continue
            self.held = self.held[at + LENGTH :]
            volts = tuple(v / 1000 for v in struct.unpack(">16H", raw[2:-2]))
            values: dict[str, Value] = {"cell_voltage_v": volts}
            yield Reading(frame.time_s, device, "cells", values, raw)

    def finish(self) -> Iterable[Reading | Rejected]:
        return ()


@dataclass(frozen=True)
class ScriptedSerial:
    address: int = 1
    name: str = field(default="scripted_serial", init=False)
    description: str = field(default="a test's own", init=False)
    medium: str = field(default="serial", init=False)
    bauds: Sequence[int] = field(default=(9600,), init=False)
    probes: Sequence[Request] = field(default=(), init=False)
    signature: Sequence[str] = field(default=(), init=False)
    keep_alive: Sequence[Request] = field(default=(), init=False)
    keep_alive_s: float = field(default=1.0, init=False)
    clear_faults: Sequence[Request] = field(default=(), init=False)

    @property
    def device(self) -> str:
        return str(self.address)

    @property
    def permitted(self) -> Sequence[Request]:
        return (Request("cells", b"Q" + bytes([self.address]), gap_s=0.0),)

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        return self.permitted

    def decoder(self) -> _Decoder:
        return _Decoder()
