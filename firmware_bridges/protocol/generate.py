"""Make the C header and the Python constants of bridge_protocol.toml.

``python generate.py`` writes both; ``python generate.py --check`` exits 1 if one of
them is not what would be written.
"""

import hashlib
import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "bridge_protocol.toml"
HEADER = HERE.parent / "core" / "include" / "bl_protocol.h"
MODULE = HERE.parents[1] / "src" / "battlife" / "wire" / "_bridge_protocol.py"
SIZES = {"u8": 1, "i8": 1, "u16": 2, "i16": 2, "u32": 4, "i32": 4}
CODES = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i"}
HASH_BYTES = 4
ENUMS = ("state", "outcome", "refusal")
BITS = ("fault", "flag")
PLAIN = ("timing", "capacity")


def protocol_hash(definition: Mapping[str, Any]) -> int:
    """Return the first 32 bits of the SHA-256 of a definition, comments left out."""
    canonical = json.dumps(definition, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:HASH_BYTES])


def header(definition: Mapping[str, Any]) -> str:
    """Return the C header."""
    lines = [
        "/* Made by protocol/generate.py of bridge_protocol.toml; not to be edited. */",
        "#ifndef BL_PROTOCOL_H",
        "#define BL_PROTOCOL_H",
        "",
        f"#define BL_VERSION {definition['version']}u",
        f"#define BL_HASH 0x{protocol_hash(definition):08X}UL",
        "",
    ]
    for table in PLAIN:
        for name, value in definition[table].items():
            lines.append(f"#define BL_{name.upper()} {value}u")
    for name, value in definition["design"].items():
        literal = f"{value}u" if name.endswith("_mv") else f"({value})"
        lines.append(f"#define BL_DESIGN_{name.upper()} {literal}")
    lines += [
        "",
        f"#define BL_MISSING_U16 0x{definition['missing']['u16']:X}u",
        f"#define BL_MISSING_I16 ({definition['missing']['i16'] + 1} - 1)",
        f"#define BL_MISSING_I32 ({definition['missing']['i32'] + 1}L - 1L)",
        "",
    ]
    for table in ENUMS:
        for name, value in definition[table].items():
            lines.append(f"#define BL_{table.upper()}_{name.upper()} {value}u")
        lines.append("")
    for table in BITS:
        for name, bit in definition[table].items():
            lines.append(f"#define BL_{table.upper()}_{name.upper()} 0x{1 << bit:04X}u")
        lines.append("")
    for name, message in definition["message"].items():
        lines.append(f"#define BL_{name.upper()} 0x{message['code']:02X}u")
    record = definition["calibration"]
    lines += ["", "/* The record in the EEPROM; the CRC is at *_CRC. */"]
    lines += [
        f"#define BL_CALIBRATION_MAGIC 0x{record['magic']:04X}u",
        f"#define BL_CALIBRATION_LAYOUT {record['layout']}u",
    ]
    at = 0
    for field, kind, *count in record["fields"]:
        lines.append(f"#define BL_CALIBRATION_AT_{field.upper()} {at}u")
        at += SIZES[kind] * (count[0] if count else 1)
    lines += [
        f"#define BL_CALIBRATION_CRC {at}u",
        f"#define BL_CALIBRATION_SIZE {at + 2}u",
    ]
    lines += ["", "/* Offsets in the payloads, behind the hash; *_SIZE ends them. */"]
    for name, message in definition["message"].items():
        at = HASH_BYTES
        for field, kind in message["fields"]:
            lines.append(f"#define BL_{name.upper()}_AT_{field.upper()} {at}u")
            at += SIZES[kind]
        lines.append(f"#define BL_{name.upper()}_SIZE {at}u")
    return "\n".join([*lines, "", "#endif", ""])


def module(definition: Mapping[str, Any]) -> str:
    """Return the Python module."""
    timing, missing = definition["timing"], definition["missing"]
    lines = [
        '"""Constants of the cell bridge\'s protocol.',
        "",
        "Made of bridge_protocol.toml by firmware_bridges/protocol/generate.py; not to",
        "be edited.",
        '"""',
        "",
        "from typing import Final",
        "",
        f"VERSION: Final = {definition['version']}",
        f"HASH: Final = 0x{protocol_hash(definition):08X}",
        f"HEARTBEATS: Final = {timing['heartbeats']}",
        f"HEARTBEAT_S: Final = {timing['heartbeat_ms'] / 1000}",
        f"HOST_SILENT_S: Final = {timing['host_silent_ms'] / 1000}",
        f"MAX_CELLS: Final = {definition['capacity']['cells']}",
        f"MAX_TEMPERATURES: Final = {definition['capacity']['temperatures']}",
    ]
    for name, value in definition["design"].items():
        lines.append(f"DESIGN_{name.upper()}: Final = {value}")
    for kind, value in missing.items():
        lines.append(f"MISSING_{kind.upper()}: Final = {value}")
    lines.append("")
    for table in (*ENUMS, *BITS):
        lines.append(f"{table.upper()}S: Final = (")
        by_value = sorted(definition[table].items(), key=lambda item: item[1])
        if [value for _, value in by_value] != list(range(len(by_value))):
            raise ValueError(f"the numbers of {table} have gaps")
        lines += [f'    "{name}",' for name, _ in by_value]
        lines.append(")")
    lines.append("")
    for name, message in definition["message"].items():
        lines.append(f"{name.upper()}: Final = 0x{message['code']:02X}")
    lines.append("")
    for name, message in definition["message"].items():
        if not message["fields"]:
            continue
        layout = "<I" + "".join(CODES[kind] for _, kind in message["fields"])
        lines.append(f'{name.upper()}_LAYOUT: Final = "{layout}"')
        lines.append(f"{name.upper()}_FIELDS: Final = (")
        lines += ['    "hash",', *(f'    "{field}",' for field, _ in message["fields"])]
        lines.append(")")
    return "\n".join([*lines, ""])


def main() -> int:
    """Write, or with --check compare."""
    definition = tomllib.loads(SOURCE.read_text())
    drifted = []
    for path, text in ((HEADER, header(definition)), (MODULE, module(definition))):
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text() != text:
                drifted.append(path)
        else:
            path.write_text(text)
    for path in drifted:
        sys.stderr.write(f"{path} is not what {SOURCE.name} says: run generate.py\n")
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main())
