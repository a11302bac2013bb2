"""Which signals of a DBC file are which values: a TOML file the caller writes.

::

    voltage_v = "PackState.PackVoltage"
    current_a = {signal = "PackState.PackCurrent", scale = -1}
    soc = {signal = "PackState.Soc", scale = 0.01, missing = [127.5]}
    cell_voltage_v = {signals = ["Cells1.Cell1", "Cells1.Cell2"], scale = 0.001}
    contactors_closed = "PackState.MainRelay"
    fault_codes = {signals = ["Faults.Iso", "Faults.Fuse"], critical = ["Faults.Iso"]}

A value is the signal (in the unit of the DBC file) times `scale` plus `offset`; one of
`missing` is no value. A flag is True where its signal is not 0, or equals `equals`.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from battlife.errors import InputError
from battlife.model import VALUE_KINDS, Notice, Value
from battlife.wire._dbc_signals import MessageReader

MAX_BYTES: Final = 1 << 20
_KEYS: Final = frozenset(
    {"signal", "signals", "scale", "offset", "missing", "equals", "critical"}
)
_HINT: Final = 'write for example: voltage_v = "PackState.PackVoltage"'


@dataclass(frozen=True)
class Entry:
    """A value and the signals it is made of.

    Attributes
    ----------
    name : of the value, one of VALUE_KINDS
    signals : message and signal of each; more than one only where there are several
    scale, offset : of the value
    missing : values of the signal that mean "none"
    equals : what the signal of a flag equals when it is set, None for "not 0"
    critical : signals that forbid handling
    """

    name: str
    signals: tuple[tuple[str, str], ...]
    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[float, ...] = ()
    equals: float | None = None
    critical: frozenset[tuple[str, str]] = frozenset()


def load(path: Path, messages: Iterable[MessageReader]) -> Sequence[Entry]:
    """Return the entries of a mapping file, checked against the DBC file.

    Raises
    ------
    InputError
        It cannot be read, or names what does not exist.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InputError(f"{path}: more than {MAX_BYTES} bytes", _HINT)
        table = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened: {error.strerror}", "check the path"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: no TOML: {error}", _HINT) from error
    known = {
        (message.name, signal.name)
        for message in messages
        for signal in message.signals
    }
    return tuple(_entry(path, name, what, known) for name, what in table.items())


def _entry(path: Path, name: str, what: Any, known: set[tuple[str, str]]) -> Entry:
    def wrong(why: str) -> InputError:
        return InputError(f"{path}: {name}: {why}", _HINT)

    kind = VALUE_KINDS.get(name)
    if kind is None:
        raise wrong("no value has this name; see the names of decoded values")
    if kind == "text":
        raise wrong("a text cannot come from a signal")
    if isinstance(what, str):
        what = {"signal": what}
    elif isinstance(what, list):
        what = {"signals": what}
    if not isinstance(what, dict) or not set(what) <= _KEYS:
        raise wrong(f"takes {', '.join(sorted(_KEYS))}")
    several = kind in ("numbers", "texts")
    given = what.get("signals", what.get("signal"))
    if ("signals" in what) != several and not (several and "signal" in what):
        raise wrong("takes `signals`" if several else "takes `signal`")
    names = given if isinstance(given, list) else [given]

    def signal(text: Any) -> tuple[str, str]:
        if not isinstance(text, str):
            raise wrong(f"{text!r} is no MESSAGE.SIGNAL")
        message, _, part = text.partition(".")
        if (message, part) not in known:
            raise wrong(f"the DBC file has no signal {text!r}")
        return message, part

    def number(key: str, usual: float) -> float:
        value = what.get(key, usual)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise wrong(f"{key} is no number")
        if not math.isfinite(value):
            raise wrong(f"{key} is not finite")
        return float(value)

    signals = tuple(signal(text) for text in names)
    if not signals or len(set(signals)) < len(signals):
        raise wrong("names a signal twice, or none")
    critical = what.get("critical", [])
    missing = what.get("missing", [])
    if not isinstance(critical, list) or not isinstance(missing, list):
        raise wrong("critical and missing are lists")
    if not all(isinstance(m, (int, float)) for m in missing):
        raise wrong("missing holds numbers")
    if kind == "texts" and len({message for message, _ in signals}) > 1:
        raise wrong("fault codes must be of one message")
    marked = frozenset(signal(text) for text in critical)
    if not marked <= set(signals):
        raise wrong("critical names a signal that is not among its signals")
    return Entry(
        name,
        signals,
        number("scale", 1.0),
        number("offset", 0.0),
        tuple(float(m) for m in missing),
        number("equals", 0.0) if "equals" in what else None,
        marked,
    )


def mapped(
    entries: Sequence[Entry], message: str, signals: Mapping[str, float]
) -> tuple[dict[str, Value], list[Notice]]:
    """Return the values that one message gives, and what is critical in it."""
    values: dict[str, Value] = {}
    notices: list[Notice] = []
    for entry in entries:
        here = [
            signals.get(name) if owner == message else None
            for owner, name in entry.signals
        ]
        if all(value is None for value in here):
            continue
        kind = VALUE_KINDS[entry.name]
        if kind == "numbers":
            values[entry.name] = tuple(_scaled(entry, value) for value in here)
        elif kind == "number":
            values[entry.name] = _scaled(entry, here[0])
        elif kind == "flag":
            value = here[0]
            if value is not None and value not in entry.missing:
                values[entry.name] = (
                    value != 0 if entry.equals is None else value == entry.equals
                )
        else:
            active = [
                signal
                for signal, value in zip(entry.signals, here, strict=True)
                if value and value not in entry.missing
            ]
            values[entry.name] = tuple(name for _, name in active)
            notices.extend(
                Notice("critical_fault_code", f"{owner}.{name} is set")
                for owner, name in active
                if (owner, name) in entry.critical
            )
    return values, notices


def _scaled(entry: Entry, value: float | None) -> float:
    if value is None or value in entry.missing:
        return math.nan
    return value * entry.scale + entry.offset
