"""Captures of serial BMSs: how much is in them, and that all of it is understood.

Counts were made by searching the bytes for the start marks of each family and checking
lengths and checksums by hand-written lines, not with the decoders.
"""

import re
from collections import Counter

import pytest

from battlife.model import Frame
from battlife.readers import open_frames
from battlife.wire import decode, protocol
from support import DATASETS

CAPTURES = DATASETS / "captures"

COUNTS = {
    "jbd/JBD-SP04S034-L4S-200A-B-U.txt": ("jbd_uart", "basic 2 cells 2 hardware 1"),
    "jbd/JBD-SP04S034-L4S-200A-B-U_MOS.txt": ("jbd_uart", ""),
    "jbd/JBD-SP25S003-L16S-100A-100A-B.txt": ("jbd_uart", "basic 1 cells 1"),
    "jbd/JBD-SP04S034L4S200A-btsnoop_hci.log": ("jbd_uart", "basic 13 cells 11"),
    "jbd/JBD-SP04S034L4S200A-V1.3-btsnoop_hci.log": ("jbd_uart", "basic 25 cells 26"),
    "jbd/btsnoop_hci_jbd-sp04s034-l4s-200a-b-u.log": ("jbd_uart", "basic 66 cells 68"),
    "jk/btsnoop_hci_jk-b2a16s_hw30_sw330.log": (
        "jk_pb",
        "about 1 settings 1 status 49",
    ),
    "jk/btsnoop_hci_jk-bd6a24s10p_hw8x_sw806g.log": (
        "jk_pb",
        "about 1 settings 3 status 53",
    ),
    "jk/traffic.log": ("jk_display", "status 17"),
    "daly/daly_bms_24cells.txt": ("daly_modbus", "status 2"),
}


def counted(text: str) -> dict[str, int]:
    words = text.split()
    return {n: int(c) for n, c in zip(words[::2], words[1::2], strict=True)}


def received(path) -> bytes:
    return b"".join(f.data for f in open_frames(path) if f.direction == "rx")


@pytest.mark.parametrize("name", COUNTS)
def test_every_message_of_a_capture_is_understood(name):
    family, counts = COUNTS[name]
    found = decode(protocol(family), open_frames(CAPTURES / name))
    assert found.rejected == ()
    assert Counter(r.message for r in found.readings) == counted(counts)


@pytest.mark.parametrize("name", [n for n in COUNTS if n.startswith("jbd/")])
def test_the_counts_of_jbd_are_those_of_the_bytes(name):
    data, counts = received(CAPTURES / name), Counter[str]()
    for start in re.finditer(b"\xdd[\x03\x04\x05]\x00", data):
        at = start.start()
        end = at + data[at + 3] + 7
        body = data[at + 2 : end - 3]
        if (
            data[end - 1 : end] == b"w"
            and sum(body) + int.from_bytes(data[end - 3 : end - 1], "big") == 0x10000
        ):
            counts[("basic", "cells", "hardware")[data[at + 1] - 3]] += 1
    assert counts == counted(COUNTS[name][1])


@pytest.mark.parametrize(
    "name", [n for n in COUNTS if n.endswith(("330.log", "6g.log"))]
)
def test_the_counts_of_jk_are_those_of_the_bytes(name):
    data, counts = received(CAPTURES / name), Counter[str]()
    for start in re.finditer(b"\x55\xaa\xeb\x90", data):
        frame = data[start.start() : start.start() + 300]
        if len(frame) == 300 and sum(frame[:299]) & 0xFF == frame[299]:
            counts[("settings", "status", "about")[frame[4] - 1]] += 1
    assert counts == counted(COUNTS[name][1])


def test_the_values_of_a_dead_jbd_pack_are_those_its_integration_printed():
    """16 cells, the last at 0 V; "... Sending state 3.60000 V ..." beside the bytes."""
    path = CAPTURES / "jbd/JBD-SP25S003-L16S-100A-100A-B.txt"
    printed = {
        name: float(value)
        for name, value in re.findall(
            r"jbd-bms-uart ([^']+)': Sending state ([-\d.]+)", path.read_text()
        )
    }
    values = decode(protocol("jbd_uart"), open_frames(path)).merged()
    assert len(printed) > 25
    for i, cell in enumerate(values["cell_voltage_v"], start=1):
        assert printed[f"cell voltage {i}"] == pytest.approx(cell)
    assert values["cell_voltage_v"][15] == 0.0
    for name, key, scale in (
        ("total voltage", "voltage_v", 1),
        ("current", "current_a", 1),
        ("capacity remaining", "remaining_capacity_ah", 1),
        ("nominal capacity", "design_capacity_ah", 1),
        ("charging cycles", "cycle_count", 1),
        ("state of charge", "soc", 100),
        ("battery strings", "jbd_n_cells", 1),
    ):
        assert printed[name] == pytest.approx(values[key] * scale), name
    assert values["jbd_manufactured"] == "2022-02-16"  # "Date of manufacture"
    assert values["charge_enabled"] is True and values["discharge_enabled"] is False


def test_answers_that_another_program_cut_into_pieces_and_asked_again_for():
    """jbdtool reads what has come and asks again: requests in the midst of answers."""
    text = (CAPTURES / "jbd/debug.txt").read_text()
    frames = []
    for i, (kind, dump) in enumerate(
        re.findall(r"(cmd|verify)\(\d+\):\n((?:[0-9A-F]{4}: .*\n)+)", text)
    ):
        rows = re.findall(r"^[0-9A-F]{4}: ((?:[0-9A-F]{2} )+)", dump, re.MULTILINE)
        data = bytes.fromhex("".join(rows))
        direction = "tx" if kind == "cmd" else "rx"
        frames.append(Frame(0.1 * i, "line", direction, data))
    found = decode(protocol("jbd_uart"), frames)
    assert found.rejected == ()
    assert Counter(r.message for r in found.readings) == {
        "basic": 2,
        "cells": 2,
        "hardware": 2,
    }
    values = found.merged()
    for name, key in (("voltage", "voltage_v"), ("capacity", "remaining_capacity_ah")):
        (printed,) = re.findall(rf"jbd_std_get_info: {name}: ([\d.]+)", text)
        assert float(printed) == values[key]
    assert values["hardware_version"] == "JBD-SP04S034-L4S-200A-B-U"
    assert values["temperature_degc"] == (22.5, 22.3, 21.7)
