"""What a message of a device says: named values beside the bytes that carry them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from battlife.errors import ProtocolError
from battlife.model.provenance import Notice

Value = float | bool | str | tuple[float, ...] | tuple[str, ...]
ValueKind = Literal["number", "numbers", "flag", "text", "texts"]

VALUE_KINDS: Final[Mapping[str, ValueKind]] = MappingProxyType(
    {
        "voltage_v": "number",
        "current_a": "number",
        "power_w": "number",
        "cell_voltage_v": "numbers",
        "temperature_degc": "numbers",
        "soc": "number",
        "reported_soh": "number",
        "remaining_capacity_ah": "number",
        "full_capacity_ah": "number",
        "design_capacity_ah": "number",
        "cycle_count": "number",
        "energy_throughput_wh": "number",
        "charge_throughput_ah": "number",
        "isolation_ohm": "number",
        "max_charge_power_w": "number",
        "max_discharge_power_w": "number",
        "aux_voltage_v": "number",
        "hx": "number",
        "balancing": "flag",
        "contactors_closed": "flag",
        "charge_enabled": "flag",
        "discharge_enabled": "flag",
        "interlock_closed": "flag",
        "fault_codes": "texts",
        "serial_number": "text",
        "hardware_version": "text",
        "software_version": "text",
    }
)
"""Names every protocol shares. `current_a` and `power_w` are positive while the
battery charges; `soc`, `reported_soh` and `hx` are fractions; `cell_voltage_v[i]` is
cell i + 1 and `temperature_degc[i]` sensor i + 1 of the device, NaN where this message
does not carry it. `fault_codes` is empty where the device says it has none and absent
where it was not asked."""

VENDORS: Final = frozenset(
    {
        "jbd",
        "daly",
        "jk",
        "pylontech",
        "seplos",
        "pace",
        "renogy",
        "lv",
        "zoe",
        "leaf",
        "kona",
        "meb",
        "bridge",
        "dbc",
    }
)
"""A value outside :data:`VALUE_KINDS` has one of these and "_" in front. Where a
device tells it, ``*_balancing_cells[i]`` is 1 while cell i + 1 is balanced, else 0."""


@dataclass(frozen=True)
class Reading:
    """One message, understood.

    Attributes
    ----------
    time_s : s, when its last byte was seen
    device : which device of the channel said it: an address such as "2" or "0x7BB",
        "" where a channel has one
    message : name of the message; a request is answered by the message of its name
    values : by name, see :data:`VALUE_KINDS`; a vendor's own carry its prefix. A
        sentinel or a value out of its field is NaN or absent, never 0
    raw : the bytes of the whole message as they crossed the wire; of a segmented
        (ISO-TP) message the payload
    identifier : CAN identifier it came with, None on a serial line
    notices : what is odd about it; the code ``critical_fault_code`` forbids handling
    """

    time_s: float
    device: str
    message: str
    values: Mapping[str, Value]
    raw: bytes
    identifier: int | None = None
    notices: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        for name, value in self.values.items():
            _check(name, value)
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))


@dataclass(frozen=True)
class Rejected:
    """Bytes that look like a message and are not a right one.

    Attributes
    ----------
    error : what is wrong; its hint says what to do
    raw : the bytes
    message : name of the message it would have been, "" if that cannot be told
    """

    time_s: float
    device: str
    error: ProtocolError
    raw: bytes
    message: str = ""
    identifier: int | None = None


@dataclass(frozen=True)
class Readings:
    """Everything a run of frames says.

    Attributes
    ----------
    readings : in the order of their last byte
    rejected : the same
    """

    readings: tuple[Reading, ...] = ()
    rejected: tuple[Rejected, ...] = field(default=())

    def merged(self, device: str | None = None) -> dict[str, Value]:
        """Return the latest value of each name, of one device or of all.

        Vectors are filled element by element: a message that carries cells 33 to 64
        leaves cells 1 to 32 as an earlier message gave them.
        """
        known: dict[str, Value] = {}
        for reading in self.readings:
            if device is None or reading.device == device:
                merge(known, reading.values)
        return known


def merge(known: dict[str, Value], values: Mapping[str, Value]) -> None:
    """Put newer `values` over `known`, vectors element by element."""
    for name, value in values.items():
        old = known.get(name)
        if VALUE_KINDS.get(name) == "numbers" and isinstance(old, tuple):
            known[name] = _overlaid(old, value)
        else:
            known[name] = value


def _overlaid(old: Sequence[float | str], new: Value) -> tuple[float, ...]:
    assert isinstance(new, tuple)
    length = max(len(old), len(new))
    result = []
    for i in range(length):
        fresh = float(new[i]) if i < len(new) else float("nan")
        stale = float(old[i]) if i < len(old) else float("nan")
        result.append(fresh if fresh == fresh else stale)
    return tuple(result)


def _check(name: str, value: Value) -> None:
    kind = VALUE_KINDS.get(name)
    if kind is None:
        if name.partition("_")[0] not in VENDORS:
            raise ValueError(f"{name!r} is neither a shared name nor a vendor's")
        return
    if kind == "number":
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif kind == "flag":
        fits = isinstance(value, bool)
    elif kind == "text":
        fits = isinstance(value, str)
    else:
        item = str if kind == "texts" else (int, float)
        fits = isinstance(value, tuple) and all(isinstance(v, item) for v in value)
    if not fits:
        raise ValueError(f"{name} is a {kind}, not {value!r}")
