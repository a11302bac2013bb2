"""Low-voltage storage packs on CAN: the broadcast that SMA, Victron and others take.

Sources, as facts: dbus-serialbattery bms/lltjbd_can.py for the identifiers; the
layouts as Pylontech US5000 packs send them (setfirelabs.com, "Pylontech battery CAN
comms v1.2 vs v1.3") and as Victron's CAN-bus BMS protocol names the alarms.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from battlife.simulate.bits import held
from battlife.simulate.can_bus import Broadcast, BusFrame, PackView
from battlife.simulate.pack_model import PackModel, PackSpec, Shown
from battlife.simulate.slcan_server import SlcanServer, adapter
from battlife.simulate.uds_server import stray

SPECS: Final[Mapping[str, PackSpec]] = MappingProxyType(
    {"16s": PackSpec(n_cells=16, capacity_ah=100.0)}
)

_HEARTBEAT_ID: Final = 0x305
"""What an inverter answers each second; a battery expects it."""
_PERIOD_S: Final = 0.5
_CHARGE_V, _DISCHARGE_V = 3.55, 2.9  # of a cell
_LIMIT_A: Final = 50.0
_KELVIN: Final = 273.15
_ALARM, _QUIET = 0b01, 0b10
# Byte of 0x35A and its lower bit; each takes two bits.
_ALARM_PLACES: Final = {
    "cell_overvoltage": (0, 2),
    "cell_undervoltage": (0, 4),
    "over_temperature": (0, 6),
    "short_circuit": (2, 4),
    "low_isolation": (2, 6),  # as "BMS internal": there is none for isolation
}


def _place(view: PackView, which: int, number: int) -> bytes:
    return places(view())[which]


class LvNode:
    """Speaks unasked; the inverter's heartbeat is all that it takes.

    Parameters
    ----------
    view : of the pack
    """

    def __init__(self, view: PackView) -> None:
        self.writes: list[bytes] = []
        self.broadcasts = [
            Broadcast(0x351, _PERIOD_S, lambda n: limits(view())),
            Broadcast(0x355, _PERIOD_S, lambda n: charge(view())),
            Broadcast(0x356, _PERIOD_S, lambda n: measured(view())),
            Broadcast(0x35A, _PERIOD_S, lambda n: alarms(view())),
            Broadcast(0x35E, _PERIOD_S, lambda n: b"BATTLIFE"),
            Broadcast(0x35F, _PERIOD_S, lambda n: _words(0x494C, 0x0301, _ah(view()))),
            Broadcast(0x373, _PERIOD_S, lambda n: extremes(view())),
            *(
                Broadcast(0x374 + i, _PERIOD_S, partial(_place, view, i))
                for i in range(4)
            ),
            Broadcast(0x379, _PERIOD_S, lambda n: _words(_ah(view()))),
            Broadcast(0x380, _PERIOD_S, lambda n: b"SIMULATE"),
            Broadcast(0x381, _PERIOD_S, lambda n: b"D-00001\0"),
        ]

    def awake(self, now_s: float) -> bool:
        """Say that it is switched on."""
        return True

    def take(self, frame: BusFrame, now_s: float) -> Sequence[BusFrame]:
        """Answer nothing; record what is no heartbeat."""
        if frame.identifier != _HEARTBEAT_ID:
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
) -> SlcanServer:
    """Return the pack on its bus, behind an SLCAN adapter."""
    del variant  # there is one
    view = PackView(pack)
    return adapter(LvNode(view), view, faults, seed, bus_load=bus_load)


def limits(
    shown: Shown,
    *,
    charge_v: float | None = None,
    limit_a: float = _LIMIT_A,
    discharge_v: float | None = None,
) -> bytes:
    """Return 0x351: voltages and currents that are allowed."""
    n = len(shown.cell_voltage_v)
    return _words(
        (n * _CHARGE_V if charge_v is None else charge_v) * 10,
        limit_a * 10 * shown.charge_enabled,
        limit_a * 10 * shown.discharge_enabled,
        (n * _DISCHARGE_V if discharge_v is None else discharge_v) * 10,
    )


def charge(shown: Shown) -> bytes:
    """Return 0x355: SOC and SOH in whole percent."""
    return _words(shown.soc * 100, shown.soh * 100, 0)


def measured(shown: Shown) -> bytes:
    """Return 0x356: voltage, current (positive while charging), temperature."""
    degc = shown.temperature_degc
    return _words(
        shown.voltage_v * 100, shown.current_a * 10, sum(degc) / len(degc) * 10
    )


def alarms(shown: Shown) -> bytes:
    """Return 0x35A: two bits an alarm."""
    data = bytearray(8)
    for name, (byte, bit) in _ALARM_PLACES.items():
        data[byte] |= (_ALARM if name in shown.alarms else _QUIET) << bit
    return bytes(data)


def extremes(shown: Shown) -> bytes:
    """Return 0x373: lowest and highest cell in mV and sensor in K."""
    volt, degc = shown.cell_voltage_v, shown.temperature_degc
    return _words(
        min(volt) * 1000,
        max(volt) * 1000,
        min(degc) + _KELVIN,
        max(degc) + _KELVIN,
    )


def places(shown: Shown) -> tuple[bytes, bytes, bytes, bytes]:
    """Return 0x374 to 0x377: which cell and which sensor, as texts."""
    volt, degc = shown.cell_voltage_v, shown.temperature_degc

    def text(values: tuple[float, ...], wanted: float) -> bytes:
        return b"%d" % (values.index(wanted) + 1)

    return (
        text(volt, min(volt)).ljust(8, b"\0"),
        text(volt, max(volt)).ljust(8, b"\0"),
        text(degc, min(degc)).ljust(8, b"\0"),
        text(degc, max(degc)).ljust(8, b"\0"),
    )


def _ah(shown: Shown) -> float:
    return shown.full_ah


def _words(*values: float) -> bytes:
    """Return 16-bit numbers, lowest byte first, below 0 as two's complement."""
    return b"".join(
        held(v, 16, signed=v < 0).to_bytes(2, "little", signed=v < 0) for v in values
    )
