"""What may be sent to a device, and on what condition."""

from dataclasses import dataclass
from enum import StrEnum


class Allow(StrEnum):
    """On what condition a request may leave."""

    READ = "read"
    """Always: it changes nothing."""
    WAKE = "wake"
    """Only after --wake: it keeps a battery awake."""
    UNSAFE_PROBE = "unsafe_probe"
    """Only to a device the operator named: another device could take it for a write."""
    WRITE = "write"
    """Only by its name (--allow-write NAME): it changes the device."""


@dataclass(frozen=True)
class Request:
    """One thing that may be sent.

    Attributes
    ----------
    name : also the name of the message that answers it
    data : serial: the bytes; CAN frame: its data; ISO-TP (`answer` given): the payload
    allow : on what condition it may leave
    identifier : CAN identifier it is sent with, None on a serial line
    extended : True for a 29-bit identifier
    answer : identifier of the answer, where request and answer are ISO-TP messages;
        the flow-control frames of that exchange are permitted with it
    fd : True if sent as CAN FD
    timeout_s : how long an answer may take
    gap_s : silence the device needs before the next request
    every_s : ask again after this many seconds rather than in every cycle; infinity
        asks once
    """

    name: str
    data: bytes
    allow: Allow = Allow.READ
    identifier: int | None = None
    extended: bool = False
    answer: int | None = None
    fd: bool = False
    timeout_s: float = 0.5
    gap_s: float = 0.02
    every_s: float = 0.0
