"""JK BMS on its display port: what it sends to its screen, 2400 baud.

The BMS writes variables to the screen ("A5 5A", length, 82, address, words) without
being asked; one write of 45 words holds the state of the pack. There is no checksum.
A flipped bit is found only where the message contradicts itself: the average and the
spread of the cells that it states, and its pack voltage, must be those of its cells,
and flags must be 0 or 1. Current, SOC and temperatures have nothing to contradict them:
prefer the UART or RS485 port, and see that two messages agree.

References
----------
esphome-jk-bms, components/jk_bms_display and docs/display-protocol.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from battlife.errors import ProtocolError
from battlife.model import Frame, Notice, Reading, Rejected, Request, Value
from battlife.wire._line import Found, Line, Piece

HEAD: Final = b"\xa5\x5a"
WRITE, REGISTER, READ = 0x82, 0x80, 0x83
"""Commands of the screen: write a variable, write or read a register, read a variable
or its answer."""
STATUS_HEAD: Final = bytes.fromhex("5D821000")
"""Length, command and address of the message that is understood."""
N_WORDS: Final = 45
N_CELLS: Final = 24
MESSAGE: Final = "status"

FAULTS: Final = (
    "cell under-voltage",
    "cell over-voltage",
    "over-current",
    "MOSFET over-temperature",
    "battery over-temperature",
    "short circuit",
    "internal communication",
    "wire resistance",
    "number of cells",
)
"""Flags of the last nine words."""
CRITICAL: Final = frozenset({"battery over-temperature", "short circuit"})
OLDER_V: Final = 0.005
"""Cells, average, spread and pack voltage may differ by this: they are not of one
moment. In captures of two devices they differ by 1 mV at most."""


def look(data: bytes) -> Found:
    """Say what begins at the head of some bytes."""
    if data[:2] != HEAD[: len(data)]:
        return Found("no")
    if len(data) < 4:
        return Found("more")
    length = data[2] + 3
    if data[2] < 2 or data[3] not in (REGISTER, WRITE, READ):
        return Found("no")
    if data[3] == WRITE and data[2] % 2 == 0:
        return Found("no")  # a command, an address and whole words
    if len(data) < length:
        return Found("more")
    if HEAD in data[2:length]:
        return Found("wrong", length, "another message begins inside it")
    if data[2:6] == STATUS_HEAD:
        why = _contradiction(_words(data[:length]))
        return Found("wrong" if why else "message", length, why)
    return Found("message", length)


@dataclass(frozen=True)
class JkDisplay:
    """The display port of one BMS. Nothing is sent: it speaks unasked."""

    name: ClassVar[str] = "jk_display"
    description: ClassVar[str] = "JK BMS display port (listens; no checksum)"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    device: ClassVar[str] = ""
    bauds: ClassVar[Sequence[int]] = (2400,)
    permitted: ClassVar[Sequence[Request]] = ()
    probes: ClassVar[Sequence[Request]] = ()
    signature: ClassVar[Sequence[str]] = (MESSAGE,)
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return no request: it is only listened to."""
        return ()

    def decoder(self) -> "JkDisplayDecoder":
        """Return a decoder that has heard nothing yet."""
        return JkDisplayDecoder()


class JkDisplayDecoder:
    """Decodes what one BMS sends to its screen."""

    def __init__(self) -> None:
        self._line = Line(look, HEAD[0])

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next bytes; yield what they complete."""
        for piece in self._line.feed(frame):
            yield from _taken(piece)

    def finish(self) -> Iterator[Reading | Rejected]:
        """Yield what stands behind a message that the end cut off."""
        for piece in self._line.finish():
            yield from _taken(piece)


def _taken(piece: Piece) -> Iterator[Reading | Rejected]:
    raw = piece.data
    if raw[2:6] != STATUS_HEAD:
        return  # colours and pages of the screen
    if piece.why:
        error = ProtocolError(
            f"JK display: {piece.why}",
            "the line may be noisy, and this port has no checksum",
        )
        yield Rejected(piece.time_s, "", error, raw, MESSAGE)
        return
    values, notices = _values(_words(raw))
    yield Reading(piece.time_s, "", MESSAGE, values, raw, None, notices)


def _words(message: bytes) -> Sequence[int]:
    return [
        int.from_bytes(message[i : i + 2], "big") for i in range(6, len(message), 2)
    ]


def _contradiction(words: Sequence[int]) -> str:
    """Return in what a status contradicts itself, "" if in nothing."""
    # Word 7, "system warning", is 1 in every capture of healthy packs: not reported.
    if any(flag > 1 for flag in (words[7], *words[9:12], *words[36:])):
        return "a flag is neither 0 nor 1"
    cells = _cells_v(words)
    if not cells:
        return ""
    total_v = math.fsum(cells)
    checks = (
        ("pack voltage", words[0] / 100, total_v, 0.01 + 0.001 * len(cells)),
        ("average", words[8] / 1000, total_v / len(cells), OLDER_V),
        ("spread", words[4] / 1000, max(cells) - min(cells), OLDER_V),
    )
    for what, stated, right, tolerance in checks:
        if abs(stated - right) > tolerance:
            return f"{what} {stated:.3f} V where its cells give {right:.3f} V"
    return ""


def _values(words: Sequence[int]) -> tuple[dict[str, Value], tuple[Notice, ...]]:
    cells = _cells_v(words)
    faults = tuple(name for name, flag in zip(FAULTS, words[36:], strict=True) if flag)
    notices = tuple(
        Notice("critical_fault_code", f"the BMS reports: {fault}")
        for fault in faults
        if fault in CRITICAL
    )
    values: dict[str, Value] = {
        "voltage_v": words[0] / 100,
        "current_a": _signed(words[1]) / 10,
        "soc": words[3] / 100 if words[3] <= 100 else math.nan,
        "temperature_degc": (float(_signed(words[6])),),
        "jk_mosfet_temperature_degc": float(_signed(words[5])),
        "jk_balance_switch": bool(words[9]),
        "charge_enabled": bool(words[10]),
        "discharge_enabled": bool(words[11]),
        "fault_codes": faults,
    }
    if cells:
        values["cell_voltage_v"] = cells
    return values, notices


def _cells_v(words: Sequence[int]) -> tuple[float, ...]:
    """Return the cells up to the last that is not 0: no more are fitted."""
    cells = [word / 1000 for word in words[12 : 12 + N_CELLS]]
    while cells and not cells[-1]:
        cells.pop()
    return tuple(cells)


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word
