"""Column headers: from a name and a unit to a quantity, a factor and an offset.

A header such as ``Test Time (s)``, ``time/s``, ``current_A``, ``Amps`` or
``Voltage / V`` is split into a name and a unit. The name says which quantity is
meant, the unit how to convert; a unit is never made up here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from battlife.errors import InputError
from battlife.readers.vocabulary import CLOCK_UNIT, DIMENSIONS, NAMES, UNITS

_ENERGY_TWIN: Final = {
    "charge_capacity_ah": "charge_energy_wh",
    "discharge_capacity_ah": "discharge_energy_wh",
    "step_capacity_ah": "step_energy_wh",
}
_RANK: Final[dict[str, tuple[str, int]]] = {
    spelling: (quantity, rank)
    for quantity, spellings in NAMES.items()
    for rank, spelling in enumerate(spellings)
}
_NAME_IS_UNIT: Final = {
    "seconds": "s",
    "second": "s",
    "volts": "V",
    "volt": "V",
    "amps": "A",
    "amp": "A",
    "amp hr": "Ah",
    "amp hrs": "Ah",
    "amphr": "Ah",
    "ah": "Ah",
    "watt hr": "Wh",
    "watt hrs": "Wh",
    "watt": "W",
    "watts": "W",
}
_BRACKETS = re.compile(
    r"^(?P<name>.*?)\s*[(\[{（](?P<unit>[^()\[\]{}（）]*)[)\]}）](?P<rest>.*)$"
)
_CLOCK = re.compile(r"h+\s*:\s*m", re.IGNORECASE)


@dataclass(frozen=True)
class Meaning:
    """What a header means.

    Attributes
    ----------
    quantity : key of :data:`DIMENSIONS`
    unit : spelling of the unit as the header gives it, "" if it gives none
    rank : place of the spelling in its list; the lowest wins
    """

    quantity: str
    unit: str
    rank: int


def plain(name: str) -> str:
    """Return a name in lower case with blanks for separators."""
    return " ".join(re.sub(r"[_\-.#\s]+", " ", name.strip().strip('"')).lower().split())


def meaning(header: str) -> Meaning | None:
    """Return what a header means, None if it is not known.

    Examples
    --------
    >>> meaning("Test_Time(s)")
    Meaning(quantity='time_s', unit='s', rank=0)
    """
    header = header.strip().strip('"').lstrip("~#")
    for name, unit in _splits(header):
        base = plain(name)
        known = _RANK.get(base)
        if known is None:
            continue
        quantity, rank = known
        if quantity == "minus_z_im_ohm" and not name.strip().startswith("-"):
            quantity = "z_im_ohm"
        if unit and _fits("energy", unit) and quantity in _ENERGY_TWIN:
            quantity = _ENERGY_TWIN[quantity]
        if quantity == "step_index" and _fits("time", unit):
            quantity = "step_time_s"
        dimension = DIMENSIONS[quantity]
        if not unit and base in _NAME_IS_UNIT:
            unit = _NAME_IS_UNIT[base]
        if dimension == "time" and unit and _CLOCK.search(unit):
            return Meaning(quantity, CLOCK_UNIT, rank)
        if base in ("test", "t", "u", "v", "i", "p", "f", "ah", "ns") and not unit:
            if base != "ns":
                continue
        if dimension == "text" or not unit or _fits(dimension, unit):
            return Meaning(quantity, unit, rank)
        if dimension == "temperature" and set(unit) <= set("?\ufffd °C"):
            return Meaning(quantity, unit, rank)
        if dimension != "count" and not _unit_of_another(dimension, unit):
            return Meaning(quantity, unit, rank)
    return None


def _splits(header: str) -> list[tuple[str, str]]:
    """Return the ways to split a header into name and unit, likeliest first."""
    found: list[tuple[str, str]] = []
    bracket = _BRACKETS.match(header)
    if bracket is not None and bracket["unit"].strip():
        name = bracket["name"] + bracket["rest"]
        found.append((name, bracket["unit"].strip().rstrip(".")))
    if "/" in header:
        name, _, unit = header.rpartition("/")
        found.append((name, unit.strip().rstrip(".")))
    if "#" in header.strip("#"):  # Digatron: Voltage#V
        name, _, unit = header.rpartition("#")
        found.append((name, unit.strip()))
    found.append((header, ""))
    parts = re.split(r"[_\s]+", header)
    if len(parts) > 1:
        for count in (1, 2):
            unit = "_".join(parts[-count:])
            name = " ".join(parts[:-count])
            if name and any(unit in units for units in UNITS.values() if unit):
                found.append((name, unit))
    return found


def _fits(dimension: str, unit: str) -> bool:
    return unit in UNITS.get(dimension, {})


def _unit_of_another(dimension: str, unit: str) -> bool:
    return any(unit in units for name, units in UNITS.items() if name != dimension)


def conversion(quantity: str, unit: str) -> tuple[float, float] | None:
    """Return factor and offset to the base unit, None if the unit is unknown."""
    dimension = DIMENSIONS[quantity]
    if dimension in ("text", "count"):
        return 1.0, 0.0
    if dimension == "time" and unit == CLOCK_UNIT:
        return 1.0, 0.0
    if dimension == "temperature":
        if unit in ("K", "kelvin"):
            return 1.0, -273.15
        if unit in ("F", "°F"):
            return 5.0 / 9.0, -160.0 / 9.0
    factor = UNITS[dimension].get(unit)
    return None if factor is None else (factor, 0.0)


def checked_conversion(quantity: str, unit: str, where: str) -> tuple[float, float]:
    """Return factor and offset of a unit someone wrote down.

    Raises
    ------
    InputError
        The unit is not one of the quantity's.
    """
    found = conversion(quantity, unit)
    if found is None:
        known = ", ".join(list(UNITS[DIMENSIONS[quantity]])[:12])
        raise InputError(
            f"{where}: unit {unit!r} is not a unit of {quantity}",
            f"for example {known}; upper and lower case differ",
        )
    return found


def header_score(fields: Sequence[str]) -> int:
    """Return how many fields are known headers; 0 if no table begins here."""
    found = {m.quantity for m in map(meaning, fields) if m is not None}
    timed = found & {"time_s", "unix_time_s", "date_time", "step_time_s"}
    electric = found & {"voltage_v", "current_a"}
    spectrum = {"frequency_hz", "z_re_ohm"} <= found
    return len(found) if (timed and electric) or spectrum else 0


def is_units_row(fields: Sequence[str]) -> bool:
    """Say whether a line below the header gives units, as Digatron writes it."""
    texts = [f.strip().strip("[]()").strip() for f in fields]
    filled = [t for t in texts if t]
    known = [
        t for t in filled if any(t in u for u in UNITS.values()) or _CLOCK.search(t)
    ]
    return len(filled) >= 2 and len(known) >= 2 and not any(c.isdigit() for c in filled)


_DISCHARGE = re.compile(
    r"^d$|(^|[\s_-])(dis|dch|dchg|dcha|dsc)($|[\s_-])|dis[\s_-]*ch|d[_ ]?chg"
    r"|entlad|放电"
)
_CHARGE = re.compile(
    r"^c$|(^|[\s_-])(cha|chg|chrg|chr)($|[\s_-])|ch(ar?)?r?g|charge|laden|ladung|充电"
)


def direction(state: str) -> int:
    """Return 1 for a state that charges, -1 for one that discharges, 0 otherwise."""
    text = state.strip().lower()
    if _DISCHARGE.search(text):
        return -1
    return 1 if _CHARGE.search(text) else 0
