"""Make the EEPROM image of a cell bridge from its calibration in TOML.

``python calibration.py my_bridge.toml my_bridge.eep.hex`` writes Intel hex for
``avrdude -U eeprom:w:my_bridge.eep.hex:i``. calibration_example.toml says what may be
in the file. The image is checked by the bridge: with a wrong CRC, or with values that
make no sense, it measures but never arms.
"""

import binascii
import struct
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from generate import CODES, SOURCE

BYTES_PER_LINE = 16


def image(values: Mapping[str, Any]) -> bytes:
    """Return the record of the EEPROM.

    Parameters
    ----------
    values : every field of [calibration] in bridge_protocol.toml but magic and layout;
        lists may be shorter than the field, the rest is 0

    Raises
    ------
    ValueError
        A field is missing, unknown, or out of range.
    """
    record = tomllib.loads(SOURCE.read_text())["calibration"]
    own = {"magic": record["magic"], "layout": record["layout"]}
    given = {**values, **own}
    data = b""
    for field, kind, *count in record["fields"]:
        if field not in given:
            raise ValueError(f"{field} is missing")
        value = given.pop(field)
        length = count[0] if count else 1
        items = list(value) if count else [value]
        if len(items) > length:
            raise ValueError(f"{field} has {len(items)} values, at most {length}")
        items += [0] * (length - len(items))
        try:
            data += struct.pack(f"<{length}{CODES[kind]}", *items)
        except struct.error as error:
            raise ValueError(f"{field} = {value}: {error}") from error
    if given:
        raise ValueError(f"unknown: {', '.join(sorted(given))}")
    return data + struct.pack("<H", binascii.crc_hqx(data, 0xFFFF))


def intel_hex(data: bytes) -> str:
    """Return Intel hex, from address 0."""
    lines = []
    for at in range(0, len(data), BYTES_PER_LINE):
        part = data[at : at + BYTES_PER_LINE]
        row = struct.pack(">BHB", len(part), at, 0) + part
        lines.append(f":{row.hex().upper()}{-sum(row) & 0xFF:02X}")
    return "\n".join([*lines, ":00000001FF", ""])


def main() -> int:
    """Read the TOML file named first, write the hex file named second."""
    if len(sys.argv) != 3:
        sys.stderr.write("usage: calibration.py IN.toml OUT.hex\n")
        return 2
    try:
        data = image(tomllib.loads(Path(sys.argv[1]).read_text()))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{sys.argv[1]}: {error}\n")
        return 1
    Path(sys.argv[2]).write_text(intel_hex(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
