"""Cell bridge: battlife's own measurement firmware for an Arduino (firmware_bridges).

Source: firmware_bridges/protocol/bridge_protocol.toml, of which the constants here and
those of the firmware are made. Frames are COBS with a CRC-16 between two zeros, and
each one carries the hash of that file: a bridge with another hash is refused.

The contactor is the bridge's own business. It closes only on `arm` and opens by itself
on any fault and on a host that falls silent. So `arm`, `disarm` and `clear` are
requests of Allow.WRITE, to be named; and the heartbeats, without which an armed bridge
opens its contactor after one second, are keep-alive frames that need `--wake`: a mere
reading never keeps a contactor closed.
"""

import binascii
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

from battlife.errors import ProtocolError
from battlife.model import (
    SIMULATED_LINE,
    Allow,
    Frame,
    Notice,
    Reading,
    Rejected,
    Request,
    Value,
)
from battlife.wire import _bridge_protocol as bl
from battlife.wire._line import Found, Line, Piece

DELIMITER: Final = 0x00
LONGEST: Final = 126
"""Bytes of a frame between its delimiters (core/include/frame.h)."""
HEADER: Final = struct.Struct("<BBHI")
"""Version, type, sequence, time in ms."""
SHORTEST: Final = HEADER.size + 4 + 2
"""Bytes of an unstuffed frame: header, hash, CRC."""

CRITICAL: Final = frozenset(
    {
        "over_temperature",
        "temperature_sensor",
        "front_end_pec",
        "front_end_stuck",
        "contactor_welded",
    }
)
"""Cells that are or may be hot, or whose voltage nobody knows, and a contactor that
cannot open: none of them is to be handled."""

LIMITS: Final = (
    "bridge_over_voltage_v",
    "bridge_under_voltage_v",
    "bridge_over_temperature_degc",
    "bridge_under_temperature_degc",
    "bridge_charge_max_a",
    "bridge_discharge_max_a",
)
"""Values of `identity` beyond which it opens its contactor."""

OPENED: Final = "contactor_opened"
"""Code of the notice that the bridge opened its contactor without being asked."""

_NAMES: Final = {bl.ASK_ARM: "arm", bl.ASK_DISARM: "disarm", bl.ASK_CLEAR: "clear"}
_REFUSALS: Final = {
    "not_ready": "it has not measured long enough since its reset; wait a second",
    "tripped": "a fault is latched: read the fault codes, mend it, send `clear`",
    "host_silent": "it hears no heartbeats: say --wake (wake=True) and ask again",
    "still_faulty": "the fault is still there: nothing was cleared",
    "closed": "the contactor is closed: send `disarm` first",
    "not_calibrated": "its calibration is refused: `identity` says why; write another",
}
_REFUSED_RECORD: Final = {
    "no_record": "none was written, or it is damaged",
    "wiring": "front ends, cells or temperatures are more than there can be",
    "voltage": (
        f"voltage limits must be within {bl.DESIGN_UNDER_VOLTAGE_MIN_MV} and "
        f"{bl.DESIGN_OVER_VOLTAGE_MAX_MV} mV"
    ),
    "temperature": (
        f"temperature limits must be within {bl.DESIGN_UNDER_TEMPERATURE_MIN_CDEGC} "
        f"and {bl.DESIGN_OVER_TEMPERATURE_MAX_CDEGC} hundredths of a degC"
    ),
    "current": f"current limits must be within {bl.DESIGN_CURRENT_MAX_MA} mA",
    "sensor": "the current sensor could not show a current at its limit",
    "correction": "a correction of a cell or temperature is beyond the design",
}
_RESETS: Final = ("power-on", "external", "brown-out", "watchdog", "while closed")


def encoded(kind: int, sequence: int = 0) -> bytes:
    """Return a request as it goes on the wire."""
    raw = HEADER.pack(bl.VERSION, kind, sequence, 0) + struct.pack("<I", bl.HASH)
    raw += struct.pack("<H", binascii.crc_hqx(raw, 0xFFFF))
    stuffed = b"".join(bytes([len(b) + 1]) + b for b in raw.split(b"\0"))
    return bytes([DELIMITER]) + stuffed + bytes([DELIMITER])


IDENTITY: Final = Request(
    "identity",
    encoded(bl.ASK_IDENTITY),
    timeout_s=2.0,  # opening the port resets an Arduino into its bootloader: 1 to 2 s
    gap_s=0.0,
)
MEASUREMENT: Final = Request(
    "measurement", encoded(bl.ASK_MEASUREMENT), timeout_s=0.5, gap_s=0.0
)
ARM: Final = Request("arm", encoded(bl.ASK_ARM), Allow.WRITE, gap_s=0.0)
DISARM: Final = Request("disarm", encoded(bl.ASK_DISARM), Allow.WRITE, gap_s=0.0)
CLEAR: Final = Request("clear", encoded(bl.ASK_CLEAR), Allow.WRITE, gap_s=0.0)
HEARTBEATS: Final = tuple(
    Request("heartbeat", encoded(bl.HEARTBEAT, number), Allow.WAKE)
    for number in range(bl.HEARTBEATS)
)


@dataclass(frozen=True)
class Bridge:
    """The cell bridge on one serial line; it has no address."""

    name: ClassVar[str] = "bridge"
    description: ClassVar[str] = "battlife's cell bridge on an Arduino (LTC6811)"
    medium: ClassVar[Literal["serial", "can"]] = "serial"
    device: ClassVar[str] = ""
    bauds: ClassVar[Sequence[int]] = (1_000_000,)
    permitted: ClassVar[Sequence[Request]] = (
        IDENTITY,
        MEASUREMENT,
        ARM,
        DISARM,
        CLEAR,
        *HEARTBEATS,
    )
    probes: ClassVar[Sequence[Request]] = (IDENTITY,)
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = HEARTBEATS
    keep_alive_s: ClassVar[float] = bl.HEARTBEAT_S
    clear_faults: ClassVar[Sequence[Request]] = (CLEAR,)

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle: who it is, until known, and data."""
        if "software_version" in known:
            return (MEASUREMENT,)
        return (IDENTITY, MEASUREMENT)

    def decoder(self) -> "BridgeDecoder":
        """Return a decoder that has heard nothing yet."""
        return BridgeDecoder()


def look(data: bytes) -> Found:
    """Say what begins at the head of some bytes: a frame without its last delimiter."""
    if data[0] != DELIMITER:
        return Found("no")
    end = data.find(DELIMITER, 1)
    if end < 0:
        return Found("more" if len(data) <= LONGEST + 1 else "no")
    # The mark of a simulated device stands between two frames, as junk of a line may.
    if end < 2 or end > LONGEST + 1 or data[1:end] == SIMULATED_LINE:
        return Found("no")
    raw = unstuffed(data[1:end])
    if raw is None or len(raw) < SHORTEST:
        return Found("wrong", end, "it is no COBS frame")
    stated = int.from_bytes(raw[-2:], "little")
    right = binascii.crc_hqx(raw[:-2], 0xFFFF)
    if stated != right:
        return Found("wrong", end, f"CRC {stated:04X}, calculated {right:04X}")
    # Its last delimiter may be the first of the next frame, if one was lost.
    return Found("message", end)


def unstuffed(data: bytes) -> bytes | None:
    """Return the bytes of which `data` is the COBS, None if it is none.

    References
    ----------
    Cheshire and Baker, IEEE/ACM Transactions on Networking 7(2), 1999,
    doi:10.1109/90.769765.
    """
    blocks, at = [], 0
    while at < len(data):
        block = data[at + 1 : at + data[at]]
        if len(block) != data[at] - 1:
            return None
        blocks.append(block)
        at += data[at]
    return b"\0".join(blocks)


class BridgeDecoder:
    """Decodes the answers of one bridge."""

    def __init__(self) -> None:
        self._line = Line(look, DELIMITER)
        self._sequence: int | None = None
        self._time_ms = 0
        self._closed = False

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next bytes; yield what they complete."""
        for piece in self._line.feed(frame):
            yield from self._taken(piece)

    def finish(self) -> Iterator[Reading | Rejected]:
        """Yield what stands behind a frame that the end cut off."""
        for piece in self._line.finish():
            yield from self._taken(piece)

    def _taken(self, piece: Piece) -> Iterator[Reading | Rejected]:
        if piece.why:
            yield _rejected(piece, "", piece.why)
            return
        raw = unstuffed(piece.data[1:])
        assert raw is not None  # look() unstuffed it already
        version, kind, sequence, time_ms = HEADER.unpack_from(raw)
        payload = raw[HEADER.size : -2]
        name = _name(kind, payload)
        if not name:
            return  # what a host sent, or nothing we know
        theirs = int.from_bytes(payload[:4], "little")
        if version != bl.VERSION or theirs != bl.HASH:
            yield _foreign(piece, name, theirs)
            return
        notices = self._lost(sequence, time_ms)
        item = _decoded(piece, name, time_ms, payload, notices)
        yield self._watched(item) if isinstance(item, Reading) else item

    def _watched(self, reading: Reading) -> Reading:
        """Return a reading that says so if the bridge opened its contactor unasked."""
        state = reading.values.get("bridge_state")
        if state is None:
            return reading
        was_closed, self._closed = self._closed, state == "closed"
        if self._closed or not was_closed or reading.message == DISARM.name:
            return reading
        codes = reading.values.get("fault_codes")
        why = ", ".join(map(str, codes)) if isinstance(codes, tuple) else ""
        text = f"the bridge opened its contactor by itself: {why or 'it was reset'}"
        notice = Notice(OPENED, text)
        return replace(reading, notices=(*reading.notices, notice))

    def _lost(self, sequence: int, time_ms: int) -> tuple[Notice, ...]:
        """Return a notice if answers are missing between the last one and this."""
        last, self._sequence = self._sequence, sequence
        before, self._time_ms = self._time_ms, time_ms
        if last is None or time_ms < before:
            return ()  # the first one, or the bridge was reset
        missing = (sequence - last - 1) & 0xFFFF
        if missing in (0, 0xFFFF):  # 0xFFFF: the same frame again
            return ()
        return (Notice("frames_lost", f"{missing} answers of the bridge were lost"),)


def _name(kind: int, payload: bytes) -> str:
    if kind == bl.IDENTITY:
        return "identity"
    if kind == bl.MEASUREMENT:
        return "measurement"
    if kind == bl.OUTCOME and len(payload) > 4:
        return _NAMES.get(payload[4], "")
    return ""


def _rejected(piece: Piece, name: str, why: str, hint: str = "") -> Rejected:
    error = ProtocolError(
        f"cell bridge: {why}", hint or "check the cable; the line may be noisy"
    )
    return Rejected(piece.time_s, "", error, piece.data, name)


def _foreign(piece: Piece, name: str, theirs: int) -> Rejected:
    return _rejected(
        piece,
        name,
        f"its firmware speaks protocol {theirs:08X}, this battlife {bl.HASH:08X}",
        "reflash it with the firmware of this version: "
        "make -C firmware_bridges flash APP=cell_bridge BOARD=... PORT=...",
    )


def _decoded(
    piece: Piece, name: str, time_ms: int, payload: bytes, notices: tuple[Notice, ...]
) -> Reading | Rejected:
    if name == "identity":
        return _identity(piece, payload, notices)
    if name == "measurement":
        return _measurement(piece, time_ms, payload, notices)
    fields = _fields(bl.OUTCOME_LAYOUT, bl.OUTCOME_FIELDS, payload)
    if fields is None or fields["outcome"] >= len(bl.OUTCOMES):
        return _rejected(piece, name, f"{len(payload)} bytes are no outcome")
    outcome = bl.OUTCOMES[fields["outcome"]]
    if outcome != "done":
        why = f"it refuses {name}: {outcome.replace('_', ' ')}"
        return _rejected(piece, name, why, _REFUSALS[outcome])
    return Reading(piece.time_s, "", name, _judged(fields), piece.data, None, notices)


def _fields(
    layout: str, names: Sequence[str], payload: bytes, *, more: bool = False
) -> dict[str, int] | None:
    size = struct.calcsize(layout)
    if len(payload) < size or (len(payload) > size and not more):
        return None
    return dict(zip(names, struct.unpack_from(layout, payload), strict=True))


def _named(bits: int, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        names[i] if i < len(names) else f"bit {i}" for i in range(16) if bits >> i & 1
    )


def _judged(fields: Mapping[str, int]) -> dict[str, Value]:
    """Return what measurement and outcome both say of the safety logic."""
    state = fields["state"]
    return {
        "fault_codes": _named(fields["latched"], bl.FAULTS),
        "bridge_live_faults": _named(fields["live"], bl.FAULTS),
        "bridge_state": bl.STATES[state] if state < len(bl.STATES) else str(state),
    }


def _named_refusal(number: int) -> str:
    return bl.REFUSALS[number] if number < len(bl.REFUSALS) else str(number)


def _identity(
    piece: Piece, payload: bytes, notices: tuple[Notice, ...]
) -> Reading | Rejected:
    fields = _fields(bl.IDENTITY_LAYOUT, bl.IDENTITY_FIELDS, payload)
    if fields is None:
        return _rejected(piece, "identity", f"{len(payload)} bytes are no identity")
    values: dict[str, Value] = {
        "software_version": f"{fields['firmware_major']}.{fields['firmware_minor']}",
        "bridge_protocol": f"{fields['hash']:08X}",
        "bridge_reset_cause": _named(fields["reset_cause"], _RESETS),
        "bridge_calibration": f"{fields['calibration_crc']:04X}",
        "bridge_n_cells": float(fields["n_cells"]),
        "bridge_over_voltage_v": fields["over_voltage_mv"] / 1000,
        "bridge_under_voltage_v": fields["under_voltage_mv"] / 1000,
        "bridge_over_temperature_degc": fields["over_temperature_cdegc"] / 100,
        "bridge_under_temperature_degc": fields["under_temperature_cdegc"] / 100,
        "bridge_charge_max_a": fields["charge_max_ma"] / 1000,
        "bridge_discharge_max_a": fields["discharge_max_ma"] / 1000,
        "bridge_refusal": _named_refusal(fields["refusal"]),
    }
    if refused := _REFUSED_RECORD.get(_named_refusal(fields["refusal"])):
        notices += (
            Notice(
                "not_calibrated",
                f"the bridge will not arm, its calibration is refused: {refused}",
            ),
        )
    return Reading(piece.time_s, "", "identity", values, piece.data, None, notices)


def _measurement(
    piece: Piece, time_ms: int, payload: bytes, notices: tuple[Notice, ...]
) -> Reading | Rejected:
    fields = _fields(bl.MEASUREMENT_LAYOUT, bl.MEASUREMENT_FIELDS, payload, more=True)
    rest = payload[struct.calcsize(bl.MEASUREMENT_LAYOUT) :]
    counts = (fields["n_temperatures"], fields["n_cells"]) if fields else (0, 0)
    if fields is None or not counts[1] or len(rest) != 2 * sum(counts):
        return _rejected(
            piece, "measurement", f"{len(payload)} bytes are no measurement"
        )
    words = struct.unpack(f"<{counts[0]}h{counts[1]}H", rest)
    flags = fields["flags"]
    cells = tuple(
        float("nan") if w == bl.MISSING_U16 else w / 10_000 for w in words[counts[0] :]
    )
    values: dict[str, Value] = {
        "cell_voltage_v": cells,
        "temperature_degc": tuple(
            float("nan") if w == bl.MISSING_I16 else w / 100 for w in words[: counts[0]]
        ),
        "contactors_closed": bool(flags >> bl.FLAGS.index("contactor_closed") & 1),
        "bridge_commanded": bool(flags >> bl.FLAGS.index("commanded") & 1),
        "bridge_calibrated": bool(flags >> bl.FLAGS.index("calibrated") & 1),
        "bridge_host_alive": bool(flags >> bl.FLAGS.index("host_alive") & 1),
        "bridge_time_s": time_ms / 1000,
        "bridge_scan": float(fields["scan"]),
        "bridge_lost_lines": float(fields["lost_lines"]),
        **_judged(fields),
    }
    if all(cell == cell for cell in cells):
        # It has no input for the terminals: the cells in series are the pack.
        values["voltage_v"] = round(sum(cells), 4)
    if fields["current_ma"] != bl.MISSING_I32:
        values["current_a"] = fields["current_ma"] / 1000
    critical = [f for f in _named(fields["latched"], bl.FAULTS) if f in CRITICAL]
    notices += tuple(
        Notice("critical_fault_code", f"the bridge reports: {fault.replace('_', ' ')}")
        for fault in critical
    )
    return Reading(piece.time_s, "", "measurement", values, piece.data, None, notices)
