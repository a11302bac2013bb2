"""What the EV packs share: messages asked for by ISO-TP, and broadcasts.

A pack's module states its messages as data and small pure functions; this turns the
frames of a bus into readings by them.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from battlife.errors import ProtocolError
from battlife.model import Allow, Frame, Notice, Reading, Rejected, Request, Value
from battlife.wire import uds
from battlife.wire.isotp import Broken, Payload, Reassembler

NAN: Final = math.nan
STANDARD_CRITICAL: Final[Mapping[str, str]] = {
    "P0AA6": "the isolation of the high-voltage system is lost",
    "P0A7E": "over-temperature of the battery pack",
}
"""Trouble codes of SAE J2012 that forbid handling, of every maker."""

DTC_HINT: Final = "read the codes with the maker's tester before anybody handles it"


@dataclass(frozen=True)
class Said:
    """What one message says.

    Attributes
    ----------
    values : by name; None leaves the name out
    notices : what is odd about it
    """

    values: Mapping[str, Value | None]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Link:
    """Identifiers of one control unit.

    Attributes
    ----------
    request, answer : identifiers of what is sent to it and of what it answers with
    extended : True for 29-bit identifiers
    fd : True where its bus is CAN FD
    """

    request: int
    answer: int
    extended: bool = False
    fd: bool = False


@dataclass(frozen=True)
class Message:
    """A message that is asked for.

    Attributes
    ----------
    name : of the message and of its request
    ask : payload of the request
    says : gives what an answer's payload (from its service byte on) says; raises
        ProtocolError
    length : bytes an answer has at least
    every_s : s between two requests
    allow : on what condition it is asked
    timeout_s : s an answer may take
    """

    name: str
    ask: bytes
    says: Callable[[bytes], Said]
    length: int = 0
    every_s: float = 0.0
    allow: Allow = Allow.READ
    timeout_s: float = 0.5

    @property
    def head(self) -> bytes:
        """First bytes of its answer."""
        return uds.head(self.ask)

    def request(self, link: Link) -> Request:
        """Return the request that asks a control unit for it."""
        return Request(
            self.name,
            self.ask,
            self.allow,
            link.request,
            link.extended,
            link.answer,
            link.fd,
            timeout_s=self.timeout_s,
            gap_s=0.005,
            every_s=self.every_s,
        )


@dataclass(frozen=True)
class Broadcast:
    """A message that a pack sends unasked, in one frame.

    Attributes
    ----------
    name : of the message
    length : bytes of its frame at least
    says : as of :class:`Message`, of the frame's data
    """

    name: str
    length: int
    says: Callable[[bytes], Said]


@dataclass
class EvDecoder:
    """Decodes the messages of one control unit and its broadcasts.

    Parameters
    ----------
    device : label of the readings
    link : identifiers of the control unit
    messages : that can be asked for
    broadcasts : by identifier and whether it is of 29 bits
    also : other identifiers of the same control unit
    """

    device: str
    link: Link
    messages: Sequence[Message]
    broadcasts: Mapping[tuple[int, bool], Broadcast] = field(default_factory=dict)
    also: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        self._by_head = {m.head: m for m in self.messages}
        links = (self.link, *self.also)
        self._reassembler = Reassembler(
            (link.request, link.answer, link.extended) for link in links
        )
        self._asking = {link.request for link in links}
        self._asked = b""

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next frame; return what it completes."""
        if frame.kind != "data":
            return
        if frame.identifier is None:
            whole = Payload(frame.time_s, None, False, frame.direction, frame.data)
            yield from self._heard(whole)
            return
        broadcast = self.broadcasts.get((frame.identifier, frame.extended))
        if broadcast is not None:
            if frame.direction == "rx":
                yield self._read(
                    broadcast.name, broadcast.length, broadcast.says, frame, frame.data
                )
            return
        yield from self._taken(self._reassembler.feed(frame))

    def finish(self) -> Iterator[Reading | Rejected]:
        """Return what the end of the frames leaves cut off."""
        yield from self._taken(self._reassembler.finish())

    def _taken(self, items: Iterable[Payload | Broken]) -> Iterator[Reading | Rejected]:
        for item in items:
            if isinstance(item, Payload):
                yield from self._heard(item)
            elif item.identifier not in self._asking:
                message = self._message(item.data)
                yield Rejected(
                    item.time_s,
                    self.device,
                    item.error,
                    item.data,
                    message.name if message is not None else "",
                    item.identifier,
                )

    def _heard(self, payload: Payload) -> Iterator[Reading | Rejected]:
        data = payload.data
        if payload.identifier in self._asking:
            self._asked = data
            return
        if payload.identifier is None and data and data[0] in _ASKING:
            self._asked = data
            return
        if not data or uds.is_pending(data):
            return
        if data[0] == uds.NEGATIVE:
            yield Rejected(
                payload.time_s,
                self.device,
                uds.refusal(data),
                data,
                self._refused(data),
                payload.identifier,
            )
            return
        message = self._message(data)
        if message is not None:
            yield self._read(message.name, message.length, message.says, payload, data)

    def _message(self, payload: bytes) -> Message | None:
        """Return the message whose answer begins as `payload` does."""
        for length in (3, 2, 1):
            message = self._by_head.get(payload[:length])
            if message is not None and len(payload) >= length:
                return message
        return None

    def _refused(self, payload: bytes) -> str:
        """Return the name of what was asked, if that was what is refused."""
        if len(payload) < 2 or self._asked[:1] != payload[1:2]:
            return ""
        for message in self.messages:
            if message.ask == self._asked:
                return message.name
        return ""

    def _read(
        self,
        name: str,
        length: int,
        says: Callable[[bytes], Said],
        source: Frame | Payload,
        data: bytes,
    ) -> Reading | Rejected:
        try:
            if len(data) < length:
                raise ProtocolError(
                    f"{name} has {len(data)} bytes, {length} are needed",
                    "is it another battery, or was the message cut?",
                )
            said = says(data)
        except ProtocolError as error:
            return Rejected(
                source.time_s, self.device, error, data, name, source.identifier
            )
        values = {k: v for k, v in said.values.items() if v is not None}
        return Reading(
            source.time_s,
            self.device,
            name,
            values,
            data,
            source.identifier,
            said.notices,
        )


_ASKING: Final = frozenset({0x10, 0x14, 0x19, 0x21, 0x22})
"""Services of requests: tells them from answers in captures without identifiers."""


def unsigned(data: bytes, at: int, n_bytes: int = 2) -> int | None:
    """Return an unsigned number, None if all its bits are set (no value)."""
    raw = int.from_bytes(data[at : at + n_bytes], "big")
    return None if raw == (1 << 8 * n_bytes) - 1 else raw


def signed(data: bytes, at: int, n_bytes: int = 2) -> int:
    """Return a number in two's complement."""
    return int.from_bytes(data[at : at + n_bytes], "big", signed=True)


def bits(data: bytes, start: int, length: int) -> int:
    """Return bits counted from the most significant of byte 0 on."""
    whole = int.from_bytes(data, "big")
    return whole >> (8 * len(data) - start - length) & ((1 << length) - 1)


def scaled(raw: int | None, scale: float, offset: float = 0.0) -> float | None:
    """Return ``raw * scale + offset``, None for None.

    Scales of one over a whole number are divided by it, so that 3925 mV is 3.925 V.
    """
    if raw is None:
        return None
    inverse = round(1 / scale)
    exact = raw / inverse if inverse and 1 / inverse == scale else raw * scale
    return exact + offset


def at_position(value: float | None, position: int, count: int) -> tuple[float, ...]:
    """Return a vector of `count` missing values but one."""
    return tuple(NAN if i != position or value is None else value for i in range(count))


def flag(state: int, true: int, false: int) -> bool | None:
    """Return what a coded state says, None if it is neither."""
    return True if state == true else False if state == false else None


def nothing(data: bytes) -> Said:
    """Say nothing: the answer itself is the message."""
    return Said({})


def fault_codes(critical: Mapping[str, str]) -> Callable[[bytes], Said]:
    """Return the function that reads an answer to service 19 02.

    Parameters
    ----------
    critical : codes (without failure type) that forbid handling, and what they say
    """

    def says(data: bytes) -> Said:
        codes = [c.text for c in uds.trouble_codes(data) if c.present]
        notices = [
            critical_notice(f"{code}: {critical[code[:5]]}")
            for code in codes
            if code[:5] in critical
        ]
        return Said({"fault_codes": tuple(codes)}, tuple(notices))

    return says


def critical_notice(what: str) -> Notice:
    """Return the notice that forbids handling."""
    return Notice("critical_fault_code", f"{what}; {DTC_HINT}")


def session(kind: int) -> Message:
    """Return the message that opens a diagnostic session, before every cycle."""
    return Message("session", bytes([0x10, kind]), nothing)


def clearing(name: str = "clear_fault_codes") -> Message:
    """Return the message that clears the trouble codes (service 14, all groups)."""
    ask = bytes.fromhex("14FFFFFF")
    return Message(name, ask, nothing, allow=Allow.WRITE, timeout_s=2.0)


def asked(messages: Iterable[Message], link: Link) -> tuple[Request, ...]:
    """Return the requests for messages."""
    return tuple(m.request(link) for m in messages)


def beats(identifier: int, frames: Iterable[bytes]) -> tuple[Request, ...]:
    """Return keep-alive frames of one identifier."""
    return tuple(
        Request(f"keep_awake_{identifier:X}", data, Allow.WAKE, identifier)
        for data in frames
    )


def with_values(reading: Reading, values: Mapping[str, Value]) -> Reading:
    """Return a reading that says more."""
    return replace(reading, values={**reading.values, **values})
