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

_POWERS = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3}


def _prefixed(symbols: str, factor: float = 1.0) -> dict[str, float]:
    return {
        prefix + symbol: power * factor
        for symbol in symbols.split()
        for prefix, power in _POWERS.items()
    }


UNITS: Final[dict[str, dict[str, float]]] = {
    "time": {
        **dict.fromkeys(
            "s sec secs second seconds S Sec Secs Second Seconds".split(), 1.0
        ),
        **dict.fromkeys("ms msec millisecond milliseconds".split(), 1e-3),
        **dict.fromkeys("us µs μs".split(), 1e-6),
        **dict.fromkeys("min mins minute minutes Min Minutes".split(), 60.0),
        **dict.fromkeys("h hr hrs hour hours H Hr Hours".split(), 3600.0),
        **dict.fromkeys("d day days Days".split(), 86400.0),
    },
    "voltage": _prefixed("V v volt volts Volt Volts VOLTS"),
    "current": _prefixed("A a amp amps Amp Amps ampere amperes Ampere AMPS"),
    "charge": {
        **_prefixed(
            "Ah ah AH A.h A*h A·h A-h A-hr Amp-hr Amp-hrs Amp-hour AmpHr ampere_hour"
        ),
        **_prefixed("As A.s C coulomb", 1.0 / 3600.0),
    },
    "energy": {
        **_prefixed(
            "Wh wh WH W.h W*h W·h W-h W-hr Watt-hr Watt-hrs Watt-hour watt_hour"
        ),
        **_prefixed("Ws W.s J joule", 1.0 / 3600.0),
    },
    "power": _prefixed("W w watt watts Watt Watts"),
    "temperature": dict.fromkeys(
        (
            "C °C ℃ degC deg_C deg.C degc celsius Celsius deg oC ºC ˚C K kelvin °F F"
        ).split(),
        1.0,
    ),
    "resistance": _prefixed("Ohm ohm Ohms ohms OHM Ω Ω"),
    "frequency": _prefixed("Hz hz hertz"),
    "pressure": {
        "Pa": 1.0,
        "kPa": 1e3,
        "MPa": 1e6,
        "bar": 1e5,
        "mbar": 100.0,
        "psi": 6894.757293168,
        "Psi": 6894.757293168,
        "PSI": 6894.757293168,
    },
    "count": {"": 1.0, "1": 1.0, "#": 1.0},
}
"""Unit spellings by dimension, with the factor to the base unit. Case matters: mV is
not MV, and a spelling that is not here is unknown rather than guessed."""

CLOCK_UNIT: Final = "h:m:s"
"""Unit of a column written as hh:mm:ss."""

DIMENSIONS: Final[dict[str, str]] = {
    "time_s": "time",
    "unix_time_s": "time",
    "step_time_s": "time",
    "voltage_v": "voltage",
    "current_a": "current",
    "power_w": "power",
    "temperature_degc": "temperature",
    "temperature_2_degc": "temperature",
    "temperature_3_degc": "temperature",
    "temperature_4_degc": "temperature",
    "ambient_temperature_degc": "temperature",
    "cycle_index": "count",
    "step_index": "count",
    "step_count": "count",
    "charge_capacity_ah": "charge",
    "discharge_capacity_ah": "charge",
    "step_capacity_ah": "charge",
    "net_capacity_ah": "charge",
    "charge_energy_wh": "energy",
    "discharge_energy_wh": "energy",
    "step_energy_wh": "energy",
    "internal_resistance_ohm": "resistance",
    "pressure_pa": "pressure",
    "load_voltage_v": "voltage",
    "load_current_a": "current",
    "frequency_hz": "frequency",
    "z_re_ohm": "resistance",
    "z_im_ohm": "resistance",
    "minus_z_im_ohm": "resistance",
    "date_time": "text",
    "state": "text",
    "unit_id": "text",
}
"""What a column may be mapped to: quantities, the parts of a spectrum (``z_im_ohm``,
or ``minus_z_im_ohm`` where the file gives -Im), and three columns of text."""


def _spellings(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


NAMES: Final[dict[str, tuple[str, ...]]] = {
    # Earlier spellings win where a file has several; all are lower case with blanks
    # for any of _ - . #.
    "time_s": _spellings(
        "test time|total time|run time|prog time|testtime|totaltime|elapsed time|"
        "cumulative time|program duration|programme duration|test duration|"
        "test|time|seconds|second|t|record time|总时间|测试时间|时间"
    ),
    "unix_time_s": _spellings("unix time|unixtime|epoch|timestamp unix"),
    "step_time_s": _spellings(
        "step time|steptime|step duration|relative time|t step|load step time|"
        "步骤时间|相对时间"
    ),
    "voltage_v": _spellings(
        "voltage|ewe|<ewe>|ecell|<ecell>|ewe ece|volts|volt|potential|"
        "cell voltage|battery voltage|terminal voltage|vbat|u|v|measured voltage|"
        "working electrode|working electrode voltage|电压"
    ),
    "current_a": _spellings(
        "current|i|<i>|amps|amp|cell current|battery current|ibat|cur|curr|"
        "measured current|电流"
    ),
    "power_w": _spellings("power|p|watt|watts|功率"),
    "temperature_degc": _spellings(
        "temperature|temp|temperature 1|temp 1|temp1|t1|cell temperature|cell temp|"
        "aux temperature 1|aux temperature(1)|surface temperature t1|"
        "cell temperature 1|battery temperature|surface temp|surface temperature|"
        "auxiliary temperature 1|tc 1|温度"
    ),
    "temperature_2_degc": _spellings(
        "temperature 2|temp 2|temp2|t2|aux temperature 2|surface temperature t2|tc 2"
    ),
    "temperature_3_degc": _spellings(
        "temperature 3|temp 3|temp3|t3|aux temperature 3|surface temperature t3|tc 3"
    ),
    "temperature_4_degc": _spellings(
        "temperature 4|temp 4|temp4|t4|aux temperature 4|surface temperature t4|tc 4"
    ),
    "ambient_temperature_degc": _spellings(
        "ambient temperature|environment temperature|chamber temperature|"
        "ambient temp|room temperature|chamber temp|evtemp"
    ),
    "cycle_index": _spellings(
        "cycle index|cycle|cyc|cycle c|cycle number|cycle id|cycle count|cycle no|"
        "cyc count|total cycle|循环|循环号|循环序号"
    ),
    "step_index": _spellings(
        "step index|step|ns|step id|step number|step no|工步|步次|工步号|工步序号"
    ),
    "step_count": _spellings("step count"),
    "charge_capacity_ah": _spellings(
        "charge capacity|charging capacity|q charge|chg capacity|chg cap|q chg|"
        "charge cap|cha cap|cap chg|capacitance chg|ahcha|ah cha|ah charge|"
        "ah ch|capacity charge|充电容量"
    ),
    "discharge_capacity_ah": _spellings(
        "discharge capacity|discharging capacity|q discharge|dchg capacity|dchg cap|"
        "q dchg|q dis|discharge cap|cap dchg|capacitance dchg|ahdch|ahdis|dis cap|"
        "dch capacity|ah dch|ah discharge|"
        "ah dis|capacity discharge|放电容量"
    ),
    "step_capacity_ah": _spellings(
        "capacity|cap|amp hr|amp hrs|step capacity|ah step|ahstep|amphr|容量"
    ),
    "net_capacity_ah": _spellings(
        "(q qo)|net capacity|cumulative charge|ahaccu|ah accu|ah|q qo|"
        "accumulated capacity"
    ),
    "charge_energy_wh": _spellings(
        "charge energy|charging energy|energy charge|chg energy|engy chg|whcha|"
        "wh cha|wh charge|"
        "e chg|充电能量"
    ),
    "discharge_energy_wh": _spellings(
        "discharge energy|discharging energy|energy discharge|dchg energy|engy dchg|"
        "whdch|wh dch|"
        "wh discharge|e dchg|e dis|放电能量"
    ),
    "step_energy_wh": _spellings("energy|ener|watt hr|watt hrs|step energy|能量"),
    "internal_resistance_ohm": _spellings(
        "internal resistance|dcir|dc internal resistance"
    ),
    "pressure_pa": _spellings("pressure|ambient pressure"),
    "frequency_hz": _spellings("freq|frequency|f"),
    "z_re_ohm": _spellings("re(z)|z re|zre|z real|zreal|z'"),
    "minus_z_im_ohm": _spellings(
        "im(z)|z im|zim|zimg|z img|zimag|z imag|z''|z imaginary"
    ),
    "date_time": _spellings(
        "date time|datetime|dpt time|dpttime|dp time|real time|realtime|date|"
        "date and time|timestamp|absolute time|absolutetime|date time iso string|"
        "systime|sys time|abs time|time stamp|date stamp|datestamp|绝对时间|系统时间"
    ),
    "state": _spellings(
        "state|md|mode|status|step type|step name|steptype|work mode|"
        "workmode|step state|record type|工作模式|工步类型|状态"
    ),
    "unit_id": _spellings("cell id|barcode|serial number|cell barcode"),
}
"""Spellings of column names by quantity."""

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
    r"^d$|(^|[\s_-])(dis|dch|dchg|dcha|dsc)($|[\s_-])|dis[\s_-]*ch|d[_ ]?chg|放电"
)
_CHARGE = re.compile(
    r"^c$|(^|[\s_-])(cha|chg|chrg|chr)($|[\s_-])|ch(ar?)?r?g|charge|充电"
)


def direction(state: str) -> int:
    """Return 1 for a state that charges, -1 for one that discharges, 0 otherwise."""
    text = state.strip().lower()
    if _DISCHARGE.search(text):
        return -1
    return 1 if _CHARGE.search(text) else 0
