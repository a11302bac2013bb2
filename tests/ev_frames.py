"""Frames of ISO-TP conversations for tests of EV packs, segmented by can-isotp."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import isotp

from battlife.model import Frame


def segments(
    payload: bytes,
    identifier: int,
    *,
    extended: bool = False,
    fd: bool = False,
    start_s: float = 0.0,
) -> list[Frame]:
    """Return the frames that can-isotp makes of a payload, 1 ms apart."""
    sent: list[isotp.CanMessage] = []
    received: list[isotp.CanMessage] = []
    mode = (
        isotp.AddressingMode.Normal_29bits
        if extended
        else isotp.AddressingMode.Normal_11bits
    )
    peer = identifier ^ 8
    layer = isotp.TransportLayerLogic(
        rxfn=lambda timeout: received.pop() if received else None,
        txfn=sent.append,
        address=isotp.Address(mode, txid=identifier, rxid=peer),
        params={
            "tx_padding": 0xAA,
            "tx_data_min_length": 8,
            "tx_data_length": 64 if fd else 8,
            "can_fd": fd,
        },
    )
    layer.send(payload)
    layer.process()
    if layer.transmitting():
        go_on = bytes((0x30, 0, 0, 0, 0, 0, 0, 0))
        received.append(
            isotp.CanMessage(
                arbitration_id=peer,
                dlc=8,
                data=go_on,
                extended_id=extended,
                is_fd=fd,
            )
        )
        while layer.transmitting():
            layer.process()
    return [
        Frame(start_s + 0.001 * i, "bus", "rx", bytes(m.data), identifier, extended, fd)
        for i, m in enumerate(sent)
    ]


def listed(text: str, identifier: int) -> list[Frame]:
    """Return frames of one identifier from "10 2B 61 .. | 21 02 .. | ..."."""
    return [
        Frame(0.01 * i, "bus", "rx", bytes.fromhex(part), identifier)
        for i, part in enumerate(text.split("|"))
    ]


def one(data: str, identifier: int, *, extended: bool = False) -> list[Frame]:
    """Return one frame from hexadecimal text."""
    return [Frame(0.0, "bus", "rx", bytes.fromhex(data), identifier, extended)]


def asc_frames(path: Path) -> Iterator[Frame]:
    """Return the frames of a Vector ASC file, read by this test's own lines."""
    line = re.compile(r"\s*(\d+\.\d+) (\S+)\s+([0-9A-F]+)(x?)\s+(Rx|Tx)\s+d (\d) (.*)")
    for text in path.read_text().splitlines():
        found = line.fullmatch(text.rstrip())
        if found:
            yield Frame(
                float(found[1]),
                found[2],
                "rx",
                bytes.fromhex(found[7]),
                int(found[3], 16),
                bool(found[4]),
            )


def gvret_frames(path: Path, bus: str) -> Iterator[Frame]:
    """Return the frames of one bus of a SavvyCAN file, read by own lines."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["Bus"] == bus:
                data = [row[f"D{i}"] for i in range(1, int(row["LEN"]) + 1)]
                yield Frame(
                    int(row["Time Stamp"]) / 1e6,
                    bus,
                    "rx",
                    bytes.fromhex("".join(data)),
                    int(row["ID"], 16),
                    row["Extended"] == "true",
                )
