"""A pack whose messages a DBC file describes, encoded by cantools.

Signals that bear the name of a quantity carry what the pack shows; the others carry
their start value. Which are recognised is the table below, no guess from the file.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from battlife.errors import InputError
from battlife.simulate.can_bus import Broadcast, BusFrame, PackView
from battlife.simulate.pack_model import PackModel, PackSpec, Shown
from battlife.simulate.slcan_server import SlcanServer, adapter
from battlife.simulate.uds_server import stray

if TYPE_CHECKING:
    from cantools.database.can import Database, Message, Signal

SPECS: Final[Mapping[str, PackSpec]] = MappingProxyType(
    {"8s": PackSpec(n_cells=8, capacity_ah=50.0, chemistry="nmc", n_sensors=2)}
)

PACK_DBC: Final = """VERSION ""

NS_ :

BS_:

BU_: BMS HOST

BO_ 768 PackState: 8 BMS
 SG_ PackVoltage : 0|16@1+ (0.01,0) [0|655.35] "V" HOST
 SG_ PackCurrent : 16|16@1- (0.1,0) [-3276.8|3276.7] "A" HOST
 SG_ StateOfCharge : 32|8@1+ (0.5,0) [0|100] "%" HOST
 SG_ StateOfHealth : 40|8@1+ (0.5,0) [0|100] "%" HOST
 SG_ ContactorsClosed : 48|1@1+ (1,0) [0|1] "" HOST

BO_ 769 CellVoltages1: 8 BMS
 SG_ CellVoltage1 : 7|16@0+ (0.001,0) [0|65.535] "V" HOST
 SG_ CellVoltage2 : 23|16@0+ (0.001,0) [0|65.535] "V" HOST
 SG_ CellVoltage3 : 39|16@0+ (0.001,0) [0|65.535] "V" HOST
 SG_ CellVoltage4 : 55|16@0+ (0.001,0) [0|65.535] "V" HOST

BO_ 770 CellVoltages2: 8 BMS
 SG_ CellVoltage5 : 7|16@0+ (0.001,0) [0|65.535] "V" HOST
 SG_ CellVoltage6 : 23|16@0+ (0.001,0) [0|65.535] "V" HOST
 SG_ CellVoltage7 : 39|16@0+ (0.001,0) [0|65.535] "V" HOST
 SG_ CellVoltage8 : 55|16@0+ (0.001,0) [0|65.535] "V" HOST

BO_ 771 Temperatures: 4 BMS
 SG_ Temperature1 : 0|16@1- (0.1,0) [-3276.8|3276.7] "degC" HOST
 SG_ Temperature2 : 16|16@1- (0.1,0) [-3276.8|3276.7] "degC" HOST
"""
"""What the device speaks where no file is given."""

_PERIOD_S: Final = 0.1
_SCALARS: Final[Mapping[str, Callable[[Shown], float]]] = {
    "packvoltage": lambda s: s.voltage_v,
    "packcurrent": lambda s: s.current_a,
    "stateofcharge": lambda s: s.soc * 100,
    "soc": lambda s: s.soc * 100,
    "stateofhealth": lambda s: s.soh * 100,
    "soh": lambda s: s.soh * 100,
    "contactorsclosed": lambda s: float(s.contactors_closed),
}
_NUMBERED: Final[Mapping[str, Callable[[Shown], Sequence[float]]]] = {
    "cellvoltage": lambda s: s.cell_voltage_v,
    "temperature": lambda s: s.temperature_degc,
}


class DbcNode:
    """Repeats every message of the file.

    Parameters
    ----------
    view : of the pack
    database : from cantools
    """

    def __init__(self, view: PackView, database: "Database") -> None:
        self.writes: list[bytes] = []
        self.broadcasts = [
            Broadcast(
                message.frame_id,
                (message.cycle_time or 1000 * _PERIOD_S) / 1000,
                partial(_repeated, message, view),
                extended=message.is_extended_frame,
                fd=message.is_fd,
            )
            for message in database.messages
        ]

    def awake(self, now_s: float) -> bool:
        """Say that it is switched on."""
        return True

    def take(self, frame: BusFrame, now_s: float) -> Sequence[BusFrame]:
        """Answer nothing and record it: a DBC file asks for nothing."""
        self.writes.append(stray(frame))
        return ()

    def due(self, now_s: float) -> Sequence[BusFrame]:
        """Return nothing beside the broadcasts."""
        return ()


def station(
    pack: PackModel,
    faults: frozenset[str],
    seed: int,
    *,
    variant: str,
    bus_load: float = 0.0,
    dbc: Path | None = None,
) -> SlcanServer:
    """Return the pack on its bus, behind an SLCAN adapter.

    Raises
    ------
    InputError
        The file cannot be read, or is not a DBC file.
    """
    del variant  # there is one
    view = PackView(pack)
    node = DbcNode(view, _database(dbc))
    fd = any(b.fd for b in node.broadcasts)
    return adapter(node, view, faults, seed, fd=fd, bus_load=bus_load)


def _repeated(message: "Message", view: PackView, number: int) -> bytes:
    return encoded(message, view(), number)


def encoded(message: "Message", shown: Shown, number: int) -> bytes:
    """Return the data of a message; of a multiplexed one its branches in turn."""
    values: dict[str, Any] = {}
    for name in _sent(message, number, values):
        values[name] = _value(message.get_signal_by_name(name), shown)
    return bytes(message.encode(values, scaling=True, strict=False))


def _sent(message: "Message", number: int, chosen: dict[str, Any]) -> list[str]:
    """Return the signals of this turn; selectors are put into `chosen`."""
    names: list[str] = []
    level: Any = message.signal_tree
    while level:
        below: list[Any] = []
        for entry in level:
            if isinstance(entry, str):
                names.append(entry)
                continue
            for selector, branches in entry.items():
                ids = sorted(branches)
                chosen[selector] = ids[number % len(ids)]
                below += branches[chosen[selector]]
        level = below
    return names


def _value(signal: "Signal", shown: Shown) -> float:
    plain = re.sub(r"[^a-z0-9]", "", signal.name.lower())
    if plain in _SCALARS:
        return _inside(signal, _SCALARS[plain](shown))
    stem = plain.rstrip("0123456789")
    if stem in _NUMBERED and plain != stem:
        values, place = _NUMBERED[stem](shown), int(plain[len(stem) :])
        if 1 <= place <= len(values):
            return _inside(signal, values[place - 1])
    start = signal.initial
    return float(start) if isinstance(start, int | float) else _inside(signal, 0.0)


def _inside(signal: "Signal", value: float) -> float:
    """Return the value, at the end of what the bits can hold where it is beyond."""
    if signal.is_float:
        return value
    bits = signal.length
    low, high = (
        (-(1 << bits - 1), (1 << bits - 1) - 1)
        if signal.is_signed
        else (0, 2**bits - 1)
    )
    ends = sorted(end * signal.scale + signal.offset for end in (low, high))
    return float(min(max(value, ends[0]), ends[1]))


def _database(path: Path | None) -> "Database":
    import cantools
    from cantools.database.can import Database
    from cantools.database.errors import Error

    try:
        text = PACK_DBC if path is None else path.read_text("cp1252")
        database = cantools.database.load_string(text, "dbc")
    except (OSError, UnicodeDecodeError, Error) as error:
        raise InputError(
            f"{path} is no DBC file that can be read: {error}",
            "name a .dbc file, or none for the one that is built in",
        ) from error
    assert isinstance(database, Database)
    return database
