"""What bytes mean: one module per device family, and the way to a Trace.

Pure: nothing here opens, sends or waits. A protocol says what may be sent
(`permitted`) and turns frames into readings (`decoder`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, cast

from battlife import _plugins
from battlife.errors import InputError
from battlife.model import Frame, Reading, Readings, Rejected, WireProtocol

GROUP = "battlife.protocols"
"""Entry points: name of a protocol = its class, a frozen dataclass whose fields are
the options of a target (address, dbc)."""

__all__ = ["GROUP", "decode", "description", "family", "names", "protocol"]


def names() -> Sequence[str]:
    """Return the names of all protocols, sorted."""
    return _plugins.names(GROUP)


def family(name: str) -> Any:
    """Return the class of a protocol.

    Raises
    ------
    KeyError
        No such protocol.
    """
    return _plugins.load_one(GROUP, name)


def description(name: str) -> str:
    """Return one line on a protocol, without the options that a device needs."""
    found = family(name).description
    return found if isinstance(found, str) else protocol(name).description


def protocol(name: str, **options: object) -> WireProtocol:
    """Return the protocol of one device.

    Parameters
    ----------
    name : one of :func:`names`
    options : address, dbc; None means not given

    Raises
    ------
    InputError
        No such protocol, or an option it does not take.
    """
    try:
        made: Any = family(name)
    except KeyError:
        raise InputError(
            f"no protocol is called {name!r}", f"known: {', '.join(names())}"
        ) from None
    given = {key: value for key, value in options.items() if value is not None}
    known = {f.name for f in fields(made) if f.init}
    for key in given:
        if key not in known:
            raise InputError(
                f"{name} takes no {key}",
                f"it takes: {', '.join(sorted(known)) or 'no options'}",
            )
    return cast(WireProtocol, made(**given))


def decode(device: WireProtocol, frames: Iterable[Frame]) -> Readings:
    """Return everything that a run of frames says, in the device's protocol.

    Parameters
    ----------
    device : see :func:`protocol`
    frames : of one channel, in order, both directions
    """
    decoder = device.decoder()
    readings: list[Reading] = []
    rejected: list[Rejected] = []

    def take(items: Iterable[Reading | Rejected]) -> None:
        for item in items:
            if isinstance(item, Reading):
                readings.append(item)
            else:
                rejected.append(item)

    for frame in frames:
        take(decoder.feed(frame))
    take(decoder.finish())
    return Readings(tuple(readings), tuple(rejected))
