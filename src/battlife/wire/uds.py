"""Diagnostic answers: services, refusals and trouble codes.

Services 10 (session), 14 (clear), 19 (trouble codes), 21 and 22 (read), as ISO 14229-1
and its predecessor ISO 14230-3 (service 21) frame them.
"""

from dataclasses import dataclass
from typing import Final

from battlife.errors import ProtocolError

NEGATIVE: Final = 0x7F
PENDING: Final = 0x78
"""Response code of "the answer comes later"; it is not the answer."""
_POSITIVE: Final = 0x40
_HEAD_BYTES: Final = {0x10: 2, 0x14: 1, 0x19: 2, 0x21: 2, 0x22: 3}
"""Bytes of an answer that repeat what was asked, by service of the request."""

_ACTIVE_STATUS: Final = 0x0F
"""Status bits that make a code present: test failed, failed in this cycle, pending,
confirmed (ISO 14229-1:2020, D.2). The others tell that a test has not run."""


@dataclass(frozen=True)
class TroubleCode:
    """A diagnostic trouble code.

    Attributes
    ----------
    text : such as "P33D7", with "-1A" behind it where a failure type is given
    status : its status byte
    """

    text: str
    status: int

    @property
    def present(self) -> bool:
        """True if a test failed or the code is pending or confirmed."""
        return bool(self.status & _ACTIVE_STATUS)


def head(request: bytes) -> bytes:
    """Return the first bytes of the answer to a request."""
    length = _HEAD_BYTES[request[0]]
    return bytes([request[0] + _POSITIVE]) + request[1:length]


def is_pending(payload: bytes) -> bool:
    """Say whether a payload only announces that the answer comes later."""
    return len(payload) >= 3 and payload[0] == NEGATIVE and payload[2] == PENDING


def refusal(payload: bytes) -> ProtocolError:
    """Return what a negative response says.

    Parameters
    ----------
    payload : begins with 7F, the service refused and the reason
    """
    if len(payload) < 3:
        return ProtocolError(
            "a negative response without a reason", "was the answer cut?"
        )
    service, code = payload[1], payload[2]
    return ProtocolError(
        f"the battery refuses service {service:02X}: {_reason(code)} ({code:02X})",
        _ADVICE.get(code, "this battery does not offer what was asked"),
    )


def trouble_codes(payload: bytes) -> tuple[TroubleCode, ...]:
    """Return the codes in an answer to service 19 02.

    Parameters
    ----------
    payload : 59 02, availability mask, then 3 bytes of code and one of status each

    Raises
    ------
    ProtocolError
        It does not end after a whole code.
    """
    if len(payload) < 3 or (len(payload) - 3) % 4:
        raise ProtocolError(
            f"a list of trouble codes of {len(payload)} bytes ends within a code",
            "was the answer cut?",
        )
    return tuple(
        TroubleCode(dtc_text(payload[i : i + 3]), payload[i + 3])
        for i in range(3, len(payload), 4)
    )


def dtc_text(code: bytes) -> str:
    """Return a three-byte trouble code as it is printed.

    The first two bits choose P, C, B or U (SAE J2012); the last byte is the failure
    type, left out where it is 0.
    """
    text = f"{'PCBU'[code[0] >> 6]}{code[0] & 0x3F:02X}{code[1]:02X}"
    return f"{text}-{code[2]:02X}" if code[2] else text


def _reason(code: int) -> str:
    from udsoncan.Response import Response

    name = Response.Code.get_name(code)
    if name is None or name.isdigit():
        return "a reason that the standard does not name"
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name)
    return words.replace("_", "").strip()


_ADVICE: Final = {
    0x21: "it is busy: ask again later",
    0x22: "it needs another state first: contactors, 12 V, ignition",
    0x33: "it wants a secret that battlife does not have",
    0x7E: "it needs a diagnostic session first",
    0x7F: "it needs a diagnostic session first",
}
