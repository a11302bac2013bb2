"""Daly: battery management systems with a UART or RS485 at 9600 baud.

Source: dbus-serialbattery bms/daly.py, as facts.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from battlife.simulate.pack_model import PackModel, PackSpec, Shown

_START: Final = 0xA5
_LENGTH: Final = 13
_HOST: Final = 0x3F  # host address + answering id: 0x40 asks for board 1
_WRITES: Final = frozenset({0x00, 0x21, 0xD9, 0xDA, *range(0x10, 0x20)})
_CURRENT_ZERO: Final = 30000
_TEMPERATURE_ZERO: Final = 40


class DalyUart:
    """Answers 0x90 to 0x98 and 0x50; the MOS switches are recorded and stay."""

    ADDRESS: Final = 1
    SPEC: Final = PackSpec(n_cells=16, capacity_ah=100.0, n_sensors=4)

    def request(self, buffer: bytearray) -> bytes | None:
        """Remove and return the first request with a right checksum."""
        while buffer:
            if buffer[0] != _START or (len(buffer) > 3 and buffer[3] != 8):
                del buffer[0]
            elif len(buffer) < _LENGTH:
                return None
            elif sum(buffer[:12]) & 0xFF == buffer[12]:
                request = bytes(buffer[:_LENGTH])
                del buffer[:_LENGTH]
                return request
            else:
                del buffer[0]
        return None

    def is_write(self, request: bytes) -> bool:
        """Say whether it sets SOC, a parameter or a MOS switch."""
        return request[2] in _WRITES

    def answer(self, request: bytes, packs: Mapping[int, PackModel]) -> bytes:
        """Return the frames of the answer; of an unknown command none."""
        board, command = request[1] - _HOST, request[2]
        pack = packs.get(board)
        if pack is None or self.is_write(request):
            return b""
        return b"".join(frame(board, command, d) for d in data(command, pack.shown()))


def frame(board: int, command: int, data: bytes) -> bytes:
    """Return one frame of an answer with its checksum."""
    body = bytes([_START, board, command, 8]) + data
    return body + bytes([sum(body) & 0xFF])


def data(command: int, shown: Shown) -> Iterator[bytes]:
    """Yield the eight data bytes of each frame that answers a command."""
    cells = [round(v * 1000) for v in shown.cell_voltage_v]
    degc = [round(t) + _TEMPERATURE_ZERO for t in shown.temperature_degc]
    if command == 0x90:
        # A raw value above 30000 is a discharge.
        current = _CURRENT_ZERO - round(shown.current_a * 10)
        yield _u16(shown.voltage_v * 10, 0, current, shown.soc * 1000)
    elif command == 0x91:
        high, low = max(cells), min(cells)
        yield (
            _u16(high) + bytes([cells.index(high) + 1])
            + _u16(low) + bytes([cells.index(low) + 1, 0, 0])
        )  # fmt: skip
    elif command == 0x92:
        high, low = max(degc), min(degc)
        yield bytes([high, degc.index(high) + 1, low, degc.index(low) + 1, 0, 0, 0, 0])
    elif command == 0x93:
        state = 1 if shown.current_a > 0 else 2 if shown.current_a < 0 else 0
        switches = bytes([state, shown.charge_enabled, shown.discharge_enabled, 7])
        yield switches + round(shown.remaining_ah * 1000).to_bytes(4, "big")
    elif command == 0x94:
        counts = bytes([len(cells), len(degc), 0, 0, 0])
        yield counts + _u16(shown.cycle_count) + b"\0"
    elif command == 0x95:
        for i in range(0, len(cells), 3):
            part = _u16(*cells[i : i + 3]).ljust(6, b"\0")
            yield bytes([i // 3 + 1]) + part + b"\0"
    elif command == 0x96:
        for i in range(0, len(degc), 7):
            yield (bytes([i // 7 + 1]) + bytes(degc[i : i + 7])).ljust(8, b"\0")
    elif command == 0x97:
        bits = sum(1 << (48 + i) for i, on in enumerate(shown.balancing[:16]) if on)
        yield bits.to_bytes(8, "big")
    elif command == 0x98:
        yield bytes(8)
    elif command == 0x50:
        nominal_mv = 3200
        yield (
            round(shown.design_ah * 1000).to_bytes(4, "big")
            + nominal_mv.to_bytes(4, "big")
        )  # fmt: skip


def _u16(*values: float) -> bytes:
    return b"".join(round(value).to_bytes(2, "big") for value in values)
