"""Which device is at the other end of a channel: listen first, then ask harmlessly.

Only requests that every protocol lists as its probes are sent: reads that cannot be a
write for another device. A bus is first heard in silence at each bit rate, because an
adapter at the wrong rate destroys what others say.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from battlife.drivers.opening import open_driver
from battlife.drivers.session import answers
from battlife.drivers.target import parse_channel
from battlife.errors import BattlifeError, HardwareError
from battlife.model import Frame, Reading, WireProtocol

LISTEN_S: Final = 1.2
"""Packs broadcast what tells them at least once a second."""
SLICE_S: Final = 0.1


@dataclass(frozen=True)
class Heard:
    """A device that was found.

    Attributes
    ----------
    channel : where
    protocol : name of its protocol
    device : its label on the channel, "" where there is one
    options : of the channel that it was found with (baud, bitrate)
    how : "heard" unasked, or "answered"
    message : what told it
    """

    channel: str
    protocol: str
    device: str
    options: Mapping[str, str]
    how: str
    message: str


def probe(
    channel: str,
    protocols: Sequence[WireProtocol],
    *,
    options: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Heard]:
    """Yield the devices of a channel, as they are found.

    Parameters
    ----------
    channel : see :func:`battlife.drivers.target.parse_channel`
    protocols : to try; those for another kind of channel are passed over
    options : of the channel; a rate given here is the only one tried
    clock : s

    Raises
    ------
    HardwareError
        The channel cannot be opened.
    """
    medium = parse_channel(channel).medium
    here = [p for p in protocols if p.medium == medium]
    key = "bitrate" if medium == "can" else "baud"
    given = dict(options or {})
    rates = (
        [int(given[key])]
        if key in given
        else list(dict.fromkeys(rate for p in here for rate in p.bauds))
    )
    if "://" in channel and medium == "serial":
        rates = rates[:1]  # no rate crosses a network
    found: set[str] = set()
    for rate in rates:
        line = given | {key: str(rate)}
        # Across a network every protocol is on the one rate there is.
        fitting = [
            p for p in here if rate in p.bauds or len(rates) == 1 or key in given
        ]
        frames = _listened(channel, line | _silent(channel), clock)
        for heard in _unasked(channel, fitting, line, frames):
            found.add(heard.protocol)
            yield heard
        for protocol in fitting:
            if protocol.name in found or not protocol.probes:
                continue
            answer = answers(channel, protocol, protocol.probes, line, clock)
            if answer is not None and answer.values:
                found.add(protocol.name)
                yield Heard(
                    channel,
                    protocol.name,
                    answer.device,
                    line,
                    "answered",
                    answer.message,
                )


def _silent(channel: str) -> dict[str, str]:
    return {"listen_only": "1"} if channel.startswith("slcan:") else {}


def _listened(
    channel: str, options: Mapping[str, str], clock: Callable[[], float]
) -> list[Frame]:
    driver = open_driver(channel, (), options=options, clock=clock)
    frames: list[Frame] = []
    try:
        end = clock() + LISTEN_S
        while (left := end - clock()) > 0:
            frame = driver.read(min(SLICE_S, left))
            if frame is not None:
                frames.append(frame)
    except HardwareError:
        return frames
    finally:
        driver.close()
    return frames


def _unasked(
    channel: str,
    protocols: Sequence[WireProtocol],
    options: Mapping[str, str],
    frames: Sequence[Frame],
) -> Iterator[Heard]:
    """Yield the protocols all of whose signature was heard."""
    for protocol in protocols:
        if not protocol.signature:
            continue
        decoder = protocol.decoder()
        heard: dict[str, str] = {}
        try:
            for frame in frames:
                for item in decoder.feed(frame):
                    if isinstance(item, Reading):
                        heard.setdefault(item.message, item.device)
        except BattlifeError:
            continue
        if set(protocol.signature) <= heard.keys():
            device = heard[protocol.signature[0]]
            messages = ", ".join(protocol.signature)
            yield Heard(channel, protocol.name, device, options, "heard", messages)
