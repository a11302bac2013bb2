"""JK over UART: real answers to "read all".

FOURTEEN is in esphome-jk-bms, docs/protocol-design-uart-ttl-gps-port.md (Apache-2.0);
SEVEN in the read-me of a 7-cell pack's project. The values were read off the fields by
hand.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from battlife.model import SIMULATED_LINE, Allow, Frame
from battlife.wire import decode, protocol
from battlife.wire.checksums import sum16

FOURTEEN = bytes.fromhex(
    "4e57011b00000000060001792a010eed020efa030ef7040eec050ef8060efa070ef1080ef8090ee3"
    "0a0efa0b0ef10c0efb0d0efb0e0ef280001d81001e82001c8314ef8480d0850f8602870004890000"
    "00008a000e8b00008c00078e16268f10ae900fd2910fa0920005930bea940c1c95000596012c9700"
    "079800039900059a00059b0ce49c00089d019e005a9f0046a00064a10064a20014a30046a40046a5"
    "ffeca6fff6a7ffeca8fff6a90eaa0000000eab01ac01ad0411ae01af01b0000ab114b23132333435"
    "3600000000b300b4496e707574205573b532313031b60000e200b748362e585f5f53362e312e3353"
    "5f5fb800b900000000ba425433303732303230313230303030323030353231303031c00100000000"
    "68000054d1"
)
SEVEN = bytes.fromhex(
    "4e570106 00000000 060001 7915 01 0ed2 02 0ed2 03 0ed2 04 0ed2 05 0edb 06 0edb"
    "07 0edb 80001c 81001c 82001c 830a62 840000 855a 8602 870000 8900000005 8a0007"
    "8b0000 8c0003 8e0b7c 8f07b6 901068 911054 920003 930b04 940b22 950003 96012c"
    "9700c8 98012c 990019 9a001e 9b0bb8 9c000a 9d01 9e0064 9f0050 a00046 a1003c"
    "a20014 a30046 a40046 a5ffec a6fff6 a7ffec a8fff6 a907 aa00000075 ab01 ac01"
    "ad03cc ae01 af01 b0000a b114 b231323334353600000000 b300 b4496e707574205573"
    "b532343037 b600000819 b731312e58415f5331312e35315f5f5f b800 b900000075"
    "ba496e70757420557365726461 4a4b5f4231413853323050 00 c001 00000000 68 00004d89"
)
JK = protocol("jk_uart")
ASK = bytes.fromhex("4E5700130000000006030000000000006800000129")


def said(*runs: bytes):
    return decode(JK, [Frame(i / 1000, "line", "rx", r) for i, r in enumerate(runs)])


def changed(field: bytes, new: bytes) -> bytes:
    """Return FOURTEEN with one field's bytes replaced and the right checksum."""
    assert FOURTEEN.count(field) == 1
    body = FOURTEEN[:-4].replace(field, new)
    body = body[:2] + (len(body) + 2).to_bytes(2, "big") + body[4:]
    return body + sum16(body).to_bytes(4, "big")


def test_the_request_is_the_known_one():
    (request,) = JK.permitted
    assert request.data == ASK and request.allow is Allow.READ
    assert JK.requests({}) == JK.permitted == JK.probes


def test_fourteen_cells():
    (reading,) = said(FOURTEEN).readings
    assert (reading.device, reading.message, reading.raw) == ("", "status", FOURTEEN)
    values = reading.values
    assert values["cell_voltage_v"] == (
        3.821, 3.834, 3.831, 3.820, 3.832, 3.834, 3.825,
        3.832, 3.811, 3.834, 3.825, 3.835, 3.835, 3.826,
    )  # fmt: skip
    assert values["voltage_v"] == 53.59
    assert sum(values["cell_voltage_v"]) == pytest.approx(53.59, abs=0.02)
    assert values["current_a"] == 2.08 and values["soc"] == 0.15
    assert values["jk_mosfet_temperature_degc"] == 29.0
    assert values["temperature_degc"] == (30.0, 28.0)
    assert values["cycle_count"] == 4 and values["fault_codes"] == ()
    assert values["charge_enabled"] is True and values["discharge_enabled"] is True
    assert values["balancing"] is True
    assert values["design_capacity_ah"] == 14.0
    assert values["software_version"] == "H6.X__S6.1.3S"
    assert values["serial_number"] == "BT3072020120000200521001"
    assert "reported_soh" not in values


def test_seven_cells():
    (reading,) = said(SEVEN).readings
    values = reading.values
    assert values["cell_voltage_v"] == (3.794,) * 4 + (3.803,) * 3
    assert values["voltage_v"] == 26.58 and values["current_a"] == 0.0
    assert values["soc"] == 0.9 and values["charge_throughput_ah"] == 5.0
    assert values["design_capacity_ah"] == 117.0 == values["full_capacity_ah"]
    assert values["jk_pack_over_voltage_v"] == 29.4
    assert values["jk_cell_over_voltage_v"] == 4.2
    assert values["jk_max_charge_current_a"] == 25.0
    assert values["jk_chemistry"] == "NMC"


def test_discharge_is_negative_in_either_coding():
    (reading,) = said(changed(b"\x84\x80\xd0", b"\x84\x00\xd0")).readings
    assert reading.values["current_a"] == -2.08
    old = changed(b"\xc0\x01\x00\x00\x00\x00", b"\xc0\x00\x00\x00\x00\x00")
    # 0x80D0 in the old coding: (10000 - 32976) / 100.
    (reading,) = said(old).readings
    assert reading.values["current_a"] == -229.76


def test_below_zero_and_no_sensor():
    cold = changed(b"\x81\x00\x1e\x82\x00\x1c", b"\x81\x00\x6e\x82\x00\xff")
    box, battery = said(cold).readings[0].values["temperature_degc"]
    assert box == -10.0 and battery != battery


def test_warnings_by_name():
    hot = said(changed(b"\x8b\x00\x00\x8c", b"\x8b\x0c\x10\x8c")).readings[0]
    assert hot.values["fault_codes"] == (
        "battery over-temperature",
        "cell over-voltage",
        "cell under-voltage",
    )
    assert [n.code for n in hot.notices] == ["critical_fault_code"]


@pytest.mark.parametrize(
    ("field", "new"),
    [
        (b"\x8a\x00\x0e", b"\x8a\x00\x0f"),  # 14 cells of 15
        (b"\x02\x0e\xfa", b"\x03\x0e\xfa"),  # no second cell
        (b"\xaf\x01", b"\xfe\x01"),  # a field nobody knows
        (b"\x83\x14\xef", b""),  # no pack voltage
        (b"\xc0\x01\x00\x00\x00\x00", b"\xc0\x02\x00\x00\x00\x00"),
    ],
)
def test_what_does_not_fit_is_not_believed(field, new):
    result = said(changed(field, new))
    assert not result.readings
    (rejected,) = result.rejected
    assert rejected.message == "status" and rejected.error.hint


def test_echo_junk_and_mark_change_nothing():
    stream = b"NWN\xff" + SIMULATED_LINE + ASK + FOURTEEN
    for runs in ((stream,), tuple(stream[i : i + 1] for i in range(len(stream)))):
        result = said(*runs)
        assert [r.raw for r in result.readings] == [FOURTEEN] and not result.rejected


@settings(max_examples=50, deadline=None)
@given(cuts=st.sets(st.integers(1, 600), max_size=12))
def test_any_fragmentation(cuts):
    stream = ASK + FOURTEEN + b"\0" + SEVEN
    edges = [0, *sorted(c for c in cuts if c < len(stream)), len(stream)]
    runs = [stream[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    assert [r.raw for r in said(*runs).readings] == [FOURTEEN, SEVEN]


def test_every_flipped_bit():
    for i in range(len(FOURTEEN) * 8):
        damaged = bytearray(FOURTEEN)
        damaged[i // 8] ^= 1 << i % 8
        result = said(ASK, bytes(damaged), ASK, FOURTEEN, ASK, FOURTEEN)
        # A damaged length may hide the next message, never change one.
        assert {r.raw for r in result.readings} == {FOURTEEN}
        assert not said(bytes(damaged)).readings


def test_every_truncation():
    for length in range(len(FOURTEEN)):
        assert not said(FOURTEEN[:length]).readings
        assert not said(FOURTEEN[:length] + FOURTEEN[length + 1 :]).readings


def test_noise_says_nothing():
    noise = random.Random(3).randbytes(300_000)
    assert not said(noise).readings
