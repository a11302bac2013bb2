"""Readings as JSON lines and as text; shared by the verbs that show them."""

import math
from collections.abc import Mapping
from typing import Any

from battlife.cli._output import Output, printable
from battlife.model import Reading, Rejected, Value

SCHEMA = 1
SHOWN_CELLS = 8
FRACTIONS = frozenset({"soc", "soh", "hx"})
"""Words of names that stand for a fraction: reported_soh, leaf_soh_from_ah."""
UNITS = {
    "_v": "V",
    "_a": "A",
    "_w": "W",
    "_ah": "Ah",
    "_wh": "Wh",
    "_ohm": "ohm",
    "_degc": "°C",
}


def reading_row(protocol: str, reading: Reading) -> dict[str, Any]:
    """Return the contract's object of one reading."""
    return {
        "schema": SCHEMA,
        "time_s": reading.time_s,
        "protocol": protocol,
        "device": reading.device,
        "message": reading.message,
        "values": values_row(reading.values),
        "raw": raw_text(reading.raw, reading.identifier),
        "warnings": [n.message for n in reading.notices],
    }


def rejected_row(protocol: str, rejected: Rejected) -> dict[str, Any]:
    """Return the object of bytes that are no right message: it has no values."""
    return {
        "schema": SCHEMA,
        "time_s": rejected.time_s,
        "protocol": protocol,
        "device": rejected.device,
        "message": rejected.message,
        "values": {},
        "raw": raw_text(rejected.raw, rejected.identifier),
        "error": {
            "type": type(rejected.error).__name__,
            "message": rejected.error.message,
            "hint": rejected.error.hint,
        },
    }


def values_row(values: Mapping[str, Value]) -> dict[str, Any]:
    """Return values as JSON takes them: missing is null, vectors are lists."""
    return {name: _plain(value) for name, value in values.items()}


def raw_text(raw: bytes, identifier: int | None) -> str:
    """Return bytes as hex, behind their CAN identifier where they have one."""
    if identifier is None:
        return raw.hex().upper()
    width = 3 if identifier <= 0x7FF else 8
    return f"{identifier:0{width}X}#{raw.hex().upper()}"


def show_values(out: Output, values: Mapping[str, Value], indent: str = "  ") -> None:
    """Print values for people: cells in rows, fractions as percent."""
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        out.text(f"{indent}{name:<{width}}  {value_text(name, value)}")


def value_text(name: str, value: Value) -> str:
    """Return one value with its unit for people."""
    fraction = not FRACTIONS.isdisjoint(name.split("_"))
    unit = next((u for end, u in UNITS.items() if name.endswith(end)), "")
    if name.startswith("dbc_"):
        fraction, unit = False, ""  # in what unit is the file's affair
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, tuple):
        if not value:
            return "none"
        if isinstance(value[0], str):
            return printable(", ".join(map(str, value)))
        return _vector_text([float(v) for v in value], unit)
    if not math.isfinite(value):
        return "missing"
    if fraction:
        return f"{100 * value:.4g} %"
    return f"{value:.6g} {unit}".rstrip()


def _vector_text(values: list[float], unit: str) -> str:
    known = [v for v in values if math.isfinite(v)]
    if not known:
        return "missing"
    shown = " ".join(f"{v:.4g}" if v == v else "–" for v in values[:SHOWN_CELLS])
    more = f" … ({len(values)})" if len(values) > SHOWN_CELLS else ""
    spread = max(known) - min(known)
    return (
        f"{shown}{more} {unit}, lowest {min(known):.4g}, highest {max(known):.4g}, "
        f"spread {spread:.3g}"
    )


def _plain(value: Value) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
