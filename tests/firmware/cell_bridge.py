"""The cell bridge from outside: its EEPROM, its frames, and a pack to measure.

Frames are made and read here by the definition in bridge_protocol.toml alone, without
battlife.wire, so that the firmware and the driver are each tested against a third.
"""

import binascii
import math
import struct
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FIRMWARE = Path(__file__).parents[2] / "firmware_bridges"
PROTOCOL = FIRMWARE / "protocol"
sys.path.insert(0, str(PROTOCOL))

from calibration import image as refusing_image  # noqa: E402, F401
from calibration import packed, refusals  # noqa: E402, F401
from generate import CODES, protocol_hash  # noqa: E402

DEFINITION = tomllib.loads((PROTOCOL / "bridge_protocol.toml").read_text())
HASH = protocol_hash(DEFINITION)
MESSAGES = DEFINITION["message"]
FAULTS = DEFINITION["fault"]
STATES = {number: name for name, number in DEFINITION["state"].items()}
OUTCOMES = {number: name for name, number in DEFINITION["outcome"].items()}
EEPROM_SECTION = 0x810000
"""Where avr-ld puts the EEPROM; libsimavr and avrdude load it from there."""

CALIBRATION: dict[str, Any] = {
    "n_front_ends": 1,
    "cells_first": 12,
    "cells_second": 0,
    "n_temperatures": 4,
    "over_voltage_mv": 4200,
    "under_voltage_mv": 2700,
    "over_temperature_cdegc": 5500,
    "under_temperature_cdegc": 0,
    "charge_max_ma": 50000,
    "discharge_max_ma": 50000,
    "current_zero": 8192,
    "current_ua": 12500,
    "temperature_offset_cdegc": [],
    "cell_gain_ppm": [],
    "cell_offset_100uv": [],
}


def flashed(elf: Path, folder: Path, record: bytes | None, name: str = "cell") -> str:
    """Return what `lockstep` and `pty_rig` take: the image with its EEPROM."""
    target = folder / f"{name}.elf"
    if record is None:
        target.write_bytes(elf.read_bytes())
    else:
        data = folder / f"{name}.eep"
        data.write_bytes(record)
        subprocess.run(
            [
                "avr-objcopy",
                "--add-section", f".eeprom={data}",
                "--set-section-flags", ".eeprom=contents,alloc,load",
                "--change-section-address", f".eeprom={EEPROM_SECTION}",
                str(elf), str(target),
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
    return str(target.with_suffix(""))


def calibrated(**changes: Any) -> bytes:
    """Return the EEPROM of a bridge with twelve cells and 4 NTCs, with changes."""
    return packed({**CALIBRATION, **changes})


def stuffed(data: bytes) -> bytes:
    """Return COBS of some bytes: blocks between zeros, each behind its length + 1."""
    return b"".join(bytes([len(b) + 1]) + b for b in data.split(b"\0"))


def unstuffed(data: bytes) -> bytes:
    """Return the bytes of which `data` is the COBS."""
    blocks, at = [], 0
    while at < len(data):
        blocks.append(data[at + 1 : at + data[at]])
        assert len(blocks[-1]) == data[at] - 1
        at += data[at]
    return b"\0".join(blocks)


def wire(
    message: str, sequence: int = 0, *, hash_: int = HASH, payload: bytes = b""
) -> bytes:
    """Return a frame of the host as it goes on the wire."""
    head = struct.pack("<BBHI", 1, MESSAGES[message]["code"], sequence, 0)
    raw = head + struct.pack("<I", hash_) + payload
    raw += struct.pack("<H", binascii.crc_hqx(raw, 0xFFFF))
    return b"\0" + stuffed(raw) + b"\0"


@dataclass
class Answer:
    """One frame of the bridge."""

    message: str
    sequence: int
    time_ms: int
    fields: dict[str, int]
    temperature_cdegc: tuple[int, ...] = ()
    cell_100uv: tuple[int, ...] = ()

    @property
    def state(self) -> str:
        return STATES[self.fields["state"]]

    @property
    def outcome(self) -> str:
        return OUTCOMES[self.fields["outcome"]]

    def faults(self, which: str = "latched") -> set[str]:
        return {name for name, bit in FAULTS.items() if self.fields[which] >> bit & 1}


def answers(data: bytes) -> list[Answer]:
    """Return the frames among the bytes of the bridge; each must be right."""
    return [_answer(unstuffed(part)) for part in data.split(b"\0") if part]


def _answer(raw: bytes) -> Answer:
    assert binascii.crc_hqx(raw[:-2], 0xFFFF) == struct.unpack("<H", raw[-2:])[0]
    version, kind, sequence, time_ms = struct.unpack_from("<BBHI", raw)
    assert version == 1
    (name,) = (n for n, m in MESSAGES.items() if m["code"] == kind)
    names = ["hash", *(f for f, _ in MESSAGES[name]["fields"])]
    layout = "<I" + "".join(CODES[k] for _, k in MESSAGES[name]["fields"])
    fields = dict(zip(names, struct.unpack_from(layout, raw, 8), strict=True))
    answer = Answer(name, sequence, time_ms, fields)
    rest = raw[8 + struct.calcsize(layout) : -2]
    if name == "measurement":
        n, m = fields["n_temperatures"], fields["n_cells"]
        values = struct.unpack(f"<{n}h{m}H", rest)
        answer.temperature_cdegc, answer.cell_100uv = values[:n], values[n:]
    else:
        assert rest == b""
    return answer


def ntc_code(degc: float) -> int:
    """Return the 12-bit code of an NTC (10 kohm, B = 3977 K) under 10 kohm."""
    ohm = 10e3 * math.exp(3977 * (1 / (degc + 273.15) - 1 / 298.15))
    return round(4096 * ohm / (ohm + 10e3))


@dataclass
class Host:
    """A host in lockstep: sends heartbeats every 200 ms of emulated time.

    Attributes
    ----------
    beats : False: it sends none
    number : of the last one
    frame : makes something else of the number; None: the heartbeat
    """

    rig: Any
    beats: bool = True
    number: int = 0
    due_s: float = 0.0
    frame: Callable[[int], bytes] | None = None
    heard: list[Answer] = field(default_factory=list)
    unread: bytes = b""

    def run_ms(self, duration_ms: float) -> None:
        """Let time pass, a millisecond at a time."""
        end = self.rig.time_s + duration_ms / 1000
        while (left := end - self.rig.time_s) > 1e-7:
            if self.beats and self.rig.time_s >= self.due_s:
                self.beat()
            self.rig.run_ms(min(1.0, 1000 * left))

    def beat(self) -> float:
        """Send a heartbeat; return when, in s."""
        self.number = (self.number + 1) % 16
        made = (
            wire("heartbeat", self.number)
            if not self.frame
            else self.frame(self.number)
        )
        self.rig.write(made)
        self.due_s = self.rig.time_s + 0.2
        return float(self.rig.time_s)

    def ask(self, message: str) -> Answer:
        """Send a request and return its answer."""
        before = len(self.pending())
        self.rig.write(wire(message))
        for _ in range(60):
            self.run_ms(1)
            if len(self.pending()) > before:
                return self.heard[-1]
        raise AssertionError(f"{message} was not answered")

    def pending(self) -> list[Answer]:
        whole, end, self.unread = (self.unread + self.rig.read()).rpartition(b"\0")
        self.heard += answers(whole + end)
        return self.heard

    def close_contactor(self) -> None:
        """Bring a healthy bridge to a closed contactor."""
        self.run_ms(700)
        assert self.ask("ask_measurement").state == "ready"
        assert self.ask("ask_arm").outcome == "done"
        self.run_ms(30)
        assert self.rig.command("contactor") == "coil=1 contact=1"
        self.rig.coil_log()
