"""Daly on CAN at 250 kbit/s: the messages of its UART in frames of 29 bits.

Source: dbus-serialbattery bms/daly_can.py and issues 212 and 215, as facts.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from battlife.simulate import daly
from battlife.simulate.can_bus import BusFrame, PackView
from battlife.simulate.pack_model import PackModel, PackSpec
from battlife.simulate.slcan_server import SlcanServer, adapter
from battlife.simulate.uds_server import stray

SPECS: Final[Mapping[str, PackSpec]] = MappingProxyType({"16s": daly.DalyUart.SPEC})

_BITRATE: Final = 250_000
_PRIORITY: Final = 0x18
_HOST: Final = 0x40
_READS: Final = frozenset({0x50, 0x53, 0x57, *range(0x90, 0x99)})


class DalyNode:
    """Answers requests to one board.

    Parameters
    ----------
    view : of the pack
    board : its number
    """

    broadcasts = ()

    def __init__(self, view: PackView, board: int = 1) -> None:
        self.writes: list[bytes] = []
        self._view = view
        self._board = board

    def awake(self, now_s: float) -> bool:
        """Say that it is switched on."""
        return True

    def take(self, frame: BusFrame, now_s: float) -> Sequence[BusFrame]:
        """Answer a read; record everything else."""
        priority, command, board, host = frame.identifier.to_bytes(4, "big")
        asks = frame.extended and priority == _PRIORITY and host == _HOST
        if not asks or command not in _READS:
            self.writes.append(stray(frame))
            return ()
        if board != self._board:
            return ()
        return answers(self._view, command, board)

    def due(self, now_s: float) -> Sequence[BusFrame]:
        """Return nothing: it answers at once."""
        return ()


def station(
    pack: PackModel,
    faults: frozenset[str],
    seed: int,
    *,
    variant: str,
    bus_load: float = 0.0,
) -> SlcanServer:
    """Return the BMS on its bus, behind an SLCAN adapter."""
    del variant  # there is one
    view = PackView(pack)
    node = DalyNode(view)
    return adapter(node, view, faults, seed, bitrate=_BITRATE, bus_load=bus_load)


def answers(view: PackView, command: int, board: int) -> list[BusFrame]:
    """Return the frames that answer a command."""
    identifier = int.from_bytes(bytes([_PRIORITY, command, _HOST, board]), "big")
    return [
        BusFrame(identifier, data, extended=True) for data in daly.data(command, view())
    ]
