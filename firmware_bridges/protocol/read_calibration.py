"""Show the calibration in an EEPROM image that was read from a cell bridge.

``avrdude … -U eeprom:r:my_bridge.eep.hex:i``, then
``python read_calibration.py my_bridge.eep.hex`` prints it as the TOML of which
calibration.py makes an image again. Its CRC is in the first line, the one that
``battlife contactor bridge@PORT`` shows as the calibration of a running bridge. Exit
code 1 if there is no record, it is damaged, or the bridge refuses it.
"""

import binascii
import struct
import sys
import tomllib
from pathlib import Path
from typing import Any

from calibration import refusals
from generate import CODES, SOURCE

DATA, END = 0x00, 0x01
EXTENDED = (0x02, 0x04)
"""Records of Intel hex that give the upper address; an EEPROM's is 0."""


def bytes_of(text: str) -> bytes:
    """Return the bytes of Intel hex, from address 0 on; gaps are 0xFF, as erased.

    Raises
    ------
    ValueError
        It is no Intel hex, or a line of it has a wrong sum.
    """
    data = bytearray()
    for number, line in enumerate(text.split(), 1):
        try:
            row = bytes.fromhex(line.removeprefix(":"))
        except ValueError:
            row = b""
        if line[:1] != ":" or len(row) < 5 or len(row) != row[0] + 5:
            raise ValueError(f"line {number} is no Intel hex")
        if sum(row) & 0xFF:
            raise ValueError(f"line {number}: its sum is wrong")
        count, address, kind = struct.unpack_from(">BHB", row)
        if kind == END:
            return bytes(data)
        if kind == DATA:
            data.extend(b"\xff" * (address + count - len(data)))
            data[address : address + count] = row[4:-1]
        elif kind not in EXTENDED or any(row[4:-1]):
            raise ValueError(f"line {number}: a record of type {kind}")
    raise ValueError("its last line is missing")


def unpacked(data: bytes) -> dict[str, Any]:
    """Return the fields of a record at the head of an EEPROM.

    Lists come without the zeros at their end.

    Raises
    ------
    ValueError
        There is none, or it is damaged.
    """
    record = tomllib.loads(SOURCE.read_text())["calibration"]
    values: dict[str, Any] = {}
    at = 0
    for field, kind, *count in record["fields"]:
        layout = f"<{count[0] if count else 1}{CODES[kind]}"
        if len(data) < at + struct.calcsize(layout) + 2:
            raise ValueError(f"{len(data)} bytes are too short for a record")
        items = list(struct.unpack_from(layout, data, at))
        at += struct.calcsize(layout)
        while count and items and items[-1] == 0:
            items.pop()
        values[field] = items if count else items[0]
    if values.pop("magic") != record["magic"]:
        raise ValueError("there is no record: it was never written, or erased")
    if (layout_number := values.pop("layout")) != record["layout"]:
        raise ValueError(f"its layout {layout_number} is not {record['layout']}")
    (stated,) = struct.unpack_from("<H", data, at)
    right = binascii.crc_hqx(data[:at], 0xFFFF)
    if stated != right:
        raise ValueError(f"it is damaged: CRC {stated:04X}, calculated {right:04X}")
    return values


def crc_of(data: bytes) -> int:
    """Return the CRC of a record that :func:`unpacked` takes."""
    fields = tomllib.loads(SOURCE.read_text())["calibration"]["fields"]
    sizes = (struct.calcsize(f"<{(*f, 1)[2]}{CODES[f[1]]}") for f in fields)
    return int(struct.unpack_from("<H", data, sum(sizes))[0])


def main() -> int:
    """Print the calibration of the hex file named first."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: read_calibration.py IN.hex\n")
        return 2
    try:
        data = bytes_of(Path(sys.argv[1]).read_text())
        values = unpacked(data)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{sys.argv[1]}: {error}\n")
        return 1
    rows = [f"# calibration {crc_of(data):04X}"]
    rows += [f"{name} = {value}" for name, value in values.items()]
    sys.stdout.write("\n".join([*rows, ""]))
    refused = refusals(values)
    for name, why in refused.items():
        sys.stderr.write(f"the bridge refuses it ({name}): {why}\n")
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())
