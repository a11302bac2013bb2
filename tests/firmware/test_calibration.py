"""Calibration from a file to the EEPROM of the emulated bridge, and back.

The scripts of firmware_bridges/protocol make and read what avrdude writes and reads;
the rig does to the EEPROM what a programmer does.
"""

import random
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cell_bridge import FIRMWARE, Host, flashed, packed, refusing_image
from read_calibration import bytes_of, crc_of, unpacked

PROTOCOL = FIRMWARE / "protocol"
EXAMPLE = PROTOCOL / "calibration_example.toml"
SIZE = 111
START_MS = 700


def script(name: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROTOCOL / name), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_a_file_into_the_bridge_and_back(
    built: Path, lockstep: Callable[..., Any], tmp_path: Path
) -> None:
    own = tmp_path / "my_bridge.toml"
    text = EXAMPLE.read_text()
    text = text.replace("cell_gain_ppm = []", "cell_gain_ppm = [0, -1234, 5000]")
    text = text.replace("over_voltage_mv = 4200", "over_voltage_mv = 4137")
    own.write_text(text)
    image = tmp_path / "my_bridge.eep.hex"
    assert script("calibration.py", own, image).returncode == 0

    # A blank bridge; a programmer writes the image, as avrdude -U eeprom:w does.
    elf = built / "m328p" / "cell_bridge.elf"
    host = Host(lockstep(flashed(elf, tmp_path, None)))
    host.run_ms(START_MS)
    assert host.ask("ask_measurement").faults("live") >= {"calibration"}
    record = bytes_of(image.read_text())
    assert len(record) == SIZE
    assert host.rig.command(f"eeprom write 0 {record.hex()}") == "ok"
    host.run_ms(START_MS)
    found = host.ask("ask_identity").fields
    assert found["calibration_crc"] == crc_of(record)
    assert (found["over_voltage_mv"], found["refusal"]) == (4137, 0)
    assert host.ask("ask_measurement").cell_100uv[:3] == (36_000, 35_956, 36_180)
    host.close_contactor()

    # Read back and made readable; the same file makes the same image again.
    back = tmp_path / "back.eep.hex"
    raw = bytes.fromhex(host.rig.command("eeprom read 0 256"))
    rows = [raw[i : i + 32] for i in range(0, len(raw), 32)]
    lines = [bytes([len(r), 0, 32 * i, 0]) + r for i, r in enumerate(rows)]
    back.write_text(
        "".join(f":{(x + bytes([-sum(x) & 0xFF])).hex().upper()}\n" for x in lines)
        + ":00000001FF\n"
    )
    shown = script("read_calibration.py", back)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"# calibration {crc_of(record):04X}\n")
    assert refusing_image(tomllib.loads(shown.stdout)) == record


def test_any_damaged_byte_leaves_it_uncalibrated_and_open(
    built: Path, lockstep: Callable[..., Any], tmp_path: Path
) -> None:
    record = packed(tomllib.loads(EXAMPLE.read_text()))
    host = Host(lockstep(flashed(built / "m2560" / "cell_bridge.elf", tmp_path, record),
                         "m2560"))  # fmt: skip
    host.close_contactor()
    rng = random.Random(1)
    for at in rng.sample(range(SIZE), 12):
        damaged = record[at] ^ 1 << rng.randrange(8)
        host.rig.command(f"eeprom write {at} {damaged:02x}")
        host.run_ms(100)
        found = host.ask("ask_measurement")
        assert (found.state, found.fields["flags"] & 4) == ("tripped", 0)
        assert "calibration" in found.faults("live")
        assert host.ask("ask_identity").fields["refusal"] == 1
        assert host.ask("ask_clear").outcome == "still_faulty"
        assert host.ask("ask_arm").outcome == "not_calibrated"
        assert host.rig.command("contactor").startswith("coil=0")
        host.rig.command(f"eeprom write {at} {record[at]:02x}")
    host.close_contactor()  # it is whole again, and what was latched ended with a reset


def test_reading_refuses_what_is_no_record(tmp_path: Path) -> None:
    record = packed(tomllib.loads(EXAMPLE.read_text()))
    assert packed(unpacked(record)) == record
    for at in range(SIZE):
        damaged = bytearray(record)
        damaged[at] ^= 0x20
        with pytest.raises(ValueError, match="damaged|no record|layout"):
            unpacked(bytes(damaged))
    with pytest.raises(ValueError, match="no record"):
        unpacked(b"\xff" * 1024)
    with pytest.raises(ValueError, match="too short"):
        unpacked(record[:-1])
    for text, why in (
        ("", "last line"),
        ("hello", "line 1"),
        (":0100000000", "line 1"),
        (":00000001FE", "sum"),
        (":0000000300", "line 1"),
    ):
        with pytest.raises(ValueError, match=why):
            bytes_of(text)
    loose = packed({**tomllib.loads(EXAMPLE.read_text()), "charge_max_ma": 60_000})
    path = tmp_path / "loose.hex"
    path.write_text(as_hex(loose))
    shown = script("read_calibration.py", path)
    assert shown.returncode == 1
    assert "refuses it (current)" in shown.stderr
    assert script("read_calibration.py", tmp_path / "none.hex").returncode == 1
    assert script("read_calibration.py").returncode == 2


def as_hex(data: bytes) -> str:
    row = bytes([len(data), 0, 0, 0]) + data
    return f":{row.hex()}{-sum(row) & 0xFF:02x}\n:00000001FF\n"
