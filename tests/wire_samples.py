"""Known-good messages of every protocol, with values that others state.

``SAMPLES[protocol]`` lists conversations. Each one holds the frames of exactly one
message (with the requests its meaning depends on, direction "tx", in front) and the
values that its source gives for it. tests/conformance/test_wire_protocols.py feeds
them whole, split, doubled, flipped and cut to every protocol's decoder.

Add a protocol: one entry, with messages of real devices where there are any::

    SAMPLES["jbd_uart"] = [
        Sample("cells", serial("DD0400080DD20DD20DD40DD6FC7677"), {...}, "source"),
    ]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from battlife.model import Frame, Value

Guard = Literal["checksum", "can", "structure"]
"""What finds a flipped bit: a checksum of the message; the CRC of the CAN frame (the
adapter drops a damaged frame, so a decoder cannot see one); or nothing but lengths and
ranges, where the protocol has no checksum at all."""


@dataclass(frozen=True)
class Sample:
    """One message.

    Attributes
    ----------
    message : name of the Reading it gives
    frames : requests that its meaning depends on ("tx"), then its bytes ("rx")
    values : some of the Reading's values, as the source states them
    source : who recorded the message, or who states its values
    options : of the protocol (address, dbc)
    guard : see Guard
    device : of the Reading
    """

    message: str
    frames: Sequence[Frame]
    values: Mapping[str, Value]
    source: str
    options: Mapping[str, object] = field(default_factory=dict)
    guard: Guard = "checksum"
    device: str = ""


def serial(received: str, sent: str = "") -> tuple[Frame, ...]:
    """Return the frames of a serial line, from hexadecimal text."""
    frames = []
    if sent:
        frames.append(Frame(0.0, "line", "tx", bytes.fromhex(sent)))
    frames.append(Frame(0.1, "line", "rx", bytes.fromhex(received)))
    return tuple(frames)


def ascii_line(received: str, sent: str = "") -> tuple[Frame, ...]:
    """Return the frames of a serial line, from its characters ("\\r" included)."""
    return serial(received.encode().hex(), sent.encode().hex())


def can(*frames: str, extended: bool = False, fd: bool = False) -> tuple[Frame, ...]:
    """Return CAN frames 10 ms apart, from "7BB#0661..."; ">79B#..." was sent."""
    result = []
    for i, text in enumerate(frames):
        identifier, _, data = text.lstrip(">").partition("#")
        result.append(
            Frame(
                0.01 * i,
                "bus",
                "tx" if text.startswith(">") else "rx",
                bytes.fromhex(data),
                int(identifier, 16),
                extended,
                fd,
            )
        )
    return tuple(result)


SAMPLES: dict[str, list[Sample]] = {}

FACTS_JBD = "mr-manuel/venus-os_dbus-serialbattery issue 265"

SAMPLES["jbd_uart"] = [
    Sample(
        "status",
        serial(
            "DD03001D0587000074FB759401572E9D000000000000"
            "61630304030BEC0BDB0BD5F83177",
            "DDA50300FFFD77",
        ),
        {
            "voltage_v": 14.15,
            "current_a": 0.0,
            "remaining_capacity_ah": 299.47,
            "jbd_nominal_capacity_ah": 301.0,
            "cycle_count": 343,
            "soc": 0.99,
            "charge_enabled": True,
            "discharge_enabled": True,
            "fault_codes": (),
            "temperature_degc": (32.1, 30.4, 29.8),
        },
        FACTS_JBD,
    ),
    Sample(
        "status",
        serial(
            "DD03001D0618FEE101F201F4002A2C7C0000000000008064"
            "0304030B8B0B8A0B84F88477"
        ),
        {
            "voltage_v": 15.6,
            "current_a": -2.87,
            "remaining_capacity_ah": 4.98,
            "soc": 1.0,
            "temperature_degc": (22.4, 22.3, 21.7),
        },
        "patman15/aiobmsble tests/bms/test_jbd_bms.py",
    ),
    Sample(
        "cells",
        serial("DD0400080DD20DD20DD40DD6FC7677", "DDA50400FFFC77"),
        {"cell_voltage_v": (3.538, 3.538, 3.54, 3.542)},
        FACTS_JBD,
    ),
]
