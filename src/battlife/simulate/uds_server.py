"""The diagnostic services of a simulated control unit.

Source: ISO 14229-1 (services, negative answers, S3 = 5 s of ISO 14229-2) and the
older ISO 14230 service 21, which Renault and Nissan still speak.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from battlife.simulate.can_bus import Broadcast, BusFrame, PackView
from battlife.simulate.isotp_server import IsoTpServer

_SESSION_S: Final = 5.0
_DEFAULT_SESSIONS: Final = (0x01, 0x81)
_READS: Final = frozenset({0x10, 0x19, 0x21, 0x22, 0x3E})
_CLEAR_OBD: Final = b"\x04"
_CLEAR_ALL: Final = b"\x14\xff\xff\xff"

_NO_SERVICE: Final = 0x11
_NO_SUBFUNCTION: Final = 0x12
_WRONG_LENGTH: Final = 0x13
_OUT_OF_RANGE: Final = 0x31
_SECURITY: Final = 0x33
_NOT_IN_SESSION: Final = 0x7F

STATUS_STORED: Final = 0x4E
"""Failed, pending and confirmed, as in a Leaf's answer `59 02 4E D0 00 00 4E ...`."""
STATUS_NOT_TESTED: Final = 0x40


@dataclass(frozen=True)
class Code:
    """A trouble code and its status.

    Attributes
    ----------
    number : its two bytes, 0x33D7 for P33D7; the third, the type of the failure, is 0
    """

    number: int
    status: int = STATUS_STORED


class UdsServer:
    """Answers requests; writes are recorded, and clearing is the one that acts.

    Parameters
    ----------
    view : of the pack
    read : returns the data behind the echoed request of a 21 or 22, None if there
        is no such group or identifier
    codes : two bytes of each alarm of the pack that has one
    other_codes : returns codes beside those of alarms
    session : that reading needs; None where the default one does
    long_session : the answer to a session carries the two timings of ISO 14229
    clears_by_obd : service 04 clears, instead of 14 FF FF FF
    """

    def __init__(
        self,
        view: PackView,
        read: Callable[[bytes], bytes | None],
        codes: Mapping[str, int],
        *,
        other_codes: Callable[[], Sequence[Code]] = tuple,
        session: int | None = None,
        long_session: bool = False,
        clears_by_obd: bool = False,
    ) -> None:
        self.writes: list[bytes] = []
        self._view = view
        self._read = read
        self._codes = codes
        self._other_codes = other_codes
        self._session = session
        self._long_session = long_session
        self._clear = _CLEAR_OBD if clears_by_obd else _CLEAR_ALL
        self._in_session = False
        self._heard_s = 0.0

    def answer(self, request: bytes, now_s: float) -> bytes | None:
        """Return the answer, None where the request wants none."""
        if now_s - self._heard_s > _SESSION_S:
            self._in_session = False
        self._heard_s = now_s
        service = request[0]
        if service not in _READS:
            return self._written(request)
        if service == 0x10:
            return self._started(request)
        if service == 0x3E:
            silent = len(request) > 1 and bool(request[1] & 0x80)
            return None if silent else b"\x7e" + request[1:]
        if self._session is not None and not self._in_session:
            return _refusal(service, _NOT_IN_SESSION)
        if service == 0x19:
            return self._stored(request)
        if len(request) != (2 if service == 0x21 else 3):
            return _refusal(service, _WRONG_LENGTH)
        data = self._read(request)
        if data is None:
            missing = _NO_SUBFUNCTION if service == 0x21 else _OUT_OF_RANGE
            return _refusal(service, missing)
        return bytes([service + 0x40]) + request[1:] + data

    def _started(self, request: bytes) -> bytes:
        if len(request) != 2:
            return _refusal(0x10, _WRONG_LENGTH)
        if request[1] not in (*_DEFAULT_SESSIONS, self._session):
            return _refusal(0x10, _NO_SUBFUNCTION)
        self._in_session = request[1] == self._session
        # P2 50 ms and P2* 5 s, in ms and 10 ms.
        timing = b"\x00\x32\x01\xf4" if self._long_session else b""
        return b"\x50" + request[1:2] + timing

    def _stored(self, request: bytes) -> bytes:
        if len(request) != 3:
            return _refusal(0x19, _WRONG_LENGTH)
        if request[1] != 0x02:
            return _refusal(0x19, _NO_SUBFUNCTION)
        alarms = self._view().alarms
        codes = [Code(n) for alarm, n in self._codes.items() if alarm in alarms]
        answer = bytearray([0x59, 0x02, STATUS_STORED])
        for code in (*codes, *self._other_codes()):
            if code.status & request[2]:
                answer += code.number.to_bytes(2, "big") + bytes([0, code.status])
        return bytes(answer)

    def _written(self, request: bytes) -> bytes:
        self.writes.append(request)
        if request == self._clear:
            self._view.pack.clear_faults()
            self._view.forget()
            return bytes([request[0] + 0x40])
        return _refusal(
            request[0], _SECURITY if request[0] in (0x2E, 0x2F, 0x31) else _NO_SERVICE
        )


class DiagnosedNode:
    """The bus side of a control unit: ISO-TP in front of its services.

    Parameters
    ----------
    server : its services
    transport : its pair of identifiers
    broadcasts : what it repeats unasked
    expected : identifiers of frames that other units of a car send it
    """

    def __init__(
        self,
        server: UdsServer,
        transport: IsoTpServer,
        broadcasts: Sequence[Broadcast] = (),
        *,
        expected: frozenset[int] = frozenset(),
    ) -> None:
        self.writes = server.writes
        self.broadcasts = broadcasts
        self._transport = transport
        self._expected = expected

    def awake(self, now_s: float) -> bool:
        """Say that it has 12 V."""
        return True

    def take(self, frame: BusFrame, now_s: float) -> list[BusFrame]:
        """Take a request; a frame for nobody here is recorded as a write."""
        if self._transport.is_for(frame):
            return self._transport.take(frame, now_s)
        if frame.identifier not in self._expected:
            self.writes.append(stray(frame))
        return []

    def due(self, now_s: float) -> list[BusFrame]:
        """Return the frames of a long answer."""
        return self._transport.due(now_s)


def stray(frame: BusFrame) -> bytes:
    """Return how a frame that asks nothing stands in `writes`: 4 bytes of id, data."""
    return frame.identifier.to_bytes(4, "big") + frame.data


def _refusal(service: int, reason: int) -> bytes:
    return bytes([0x7F, service, reason])
