"""Make the EEPROM image of a cell bridge from its calibration in TOML.

``python calibration.py my_bridge.toml my_bridge.eep.hex`` writes Intel hex for
``avrdude -U eeprom:w:my_bridge.eep.hex:i``. calibration_example.toml says what may be
in the file. Values beyond the reference design ([design] in bridge_protocol.toml) are
refused here, and by the bridge once more (core/calibration.c): on such a record, or on
one with a wrong CRC, it measures but never arms.
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
SUM_MAX = 16380
"""Four conversions of 12 bits."""
CURRENT_MAX_UA = 100_000
"""Times SUM_MAX it fits the 32 bits of the bridge."""


def image(values: Mapping[str, Any]) -> bytes:
    """Return the record of the EEPROM for a bridge within the reference design.

    Parameters
    ----------
    values : every field of [calibration] in bridge_protocol.toml but magic and layout;
        lists may be shorter than the field, the rest is 0

    Raises
    ------
    ValueError
        A field is missing, unknown, or beyond the design.
    """
    data = packed(values)
    if refused := refusals(values):
        raise ValueError("; ".join(refused.values()))
    return data


def refusals(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what the bridge refuses of it: names of [refusal], each with the reason.

    The rules are those of core/calibration.c, which names the first of them alone.
    """
    definition = tomllib.loads(SOURCE.read_text())
    design, capacity = definition["design"], definition["capacity"]
    refused = {}
    if not _is_wired(values, capacity):
        refused["wiring"] = (
            f"1 or {capacity['front_ends']} front ends with 1 to "
            f"{capacity['cells_per_front_end']} cells each, and 1 to "
            f"{capacity['temperatures']} temperatures"
        )
    for name, unit in (("voltage", "mv"), ("temperature", "cdegc")):
        least = design[f"under_{name}_min_{unit}"]
        most = design[f"over_{name}_max_{unit}"]
        low, high = values[f"under_{name}_{unit}"], values[f"over_{name}_{unit}"]
        if not least <= low < high <= most:
            refused[name] = (
                f"under_{name}_{unit} = {low} and over_{name}_{unit} = {high} are not "
                f"{least} to {most}, the first below the second"
            )
    limits = (values["charge_max_ma"], values["discharge_max_ma"])
    if not all(0 < ma <= design["current_max_ma"] for ma in limits):
        refused["current"] = (
            f"charge_max_ma = {limits[0]} and discharge_max_ma = {limits[1]} are not "
            f"1 to {design['current_max_ma']}"
        )
    zero, scale_ua = values["current_zero"], values["current_ua"]
    # In whole milliamperes, cut off as the bridge does it.
    shown = sorted(int((code - zero) * scale_ua / 1000) for code in (0, SUM_MAX))
    margin = design["sensor_margin_percent"]
    lowest, highest = (ma - int(ma / 100) * margin for ma in shown)
    if not (
        0 <= zero <= SUM_MAX
        and 0 < abs(scale_ua) <= CURRENT_MAX_UA
        and limits[0] <= highest
        and limits[1] <= -lowest
    ):
        refused["sensor"] = (
            f"current_zero = {zero} and current_ua = {scale_ua}: the sensor shows "
            f"{shown[0] / 1000:.1f} to {shown[1] / 1000:.1f} A, of which the limits "
            f"must leave {margin} %"
        )
    for field, bound in (
        ("temperature_offset_cdegc", design["temperature_offset_max_cdegc"]),
        ("cell_gain_ppm", design["cell_gain_max_ppm"]),
    ):
        if any(abs(value) > bound for value in values[field]):
            refused["correction"] = f"{field} is beyond +-{bound}"
    return refused


def _is_wired(values: Mapping[str, Any], capacity: Mapping[str, int]) -> bool:
    used = values["n_front_ends"]
    cells = (values["cells_first"], values["cells_second"])
    return (
        1 <= used <= capacity["front_ends"]
        and all(1 <= n <= capacity["cells_per_front_end"] for n in cells[:used])
        and not any(cells[used:])
        and 1 <= values["n_temperatures"] <= capacity["temperatures"]
    )


def packed(values: Mapping[str, Any]) -> bytes:
    """Return the record of any values that its fields hold, sensible or not.

    Raises
    ------
    ValueError
        A field is missing, unknown, or does not hold its value.
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
