"""Hyundai and Kia: captures of an e-Niro, an Ioniq and two Konas."""

import json
import math

import pytest

from battlife.model import Allow, Frame
from battlife.wire import decode, protocol
from ev_frames import asc_frames, gvret_frames, one, segments
from support import DATASETS, shared

KONA = protocol("kona")
ANSWER = 0x7EC
EVDASH = DATASETS / "captures/evdash/uds_responses.json"
LOGS = DATASETS / "captures/kona"
BUS_LOGS = DATASETS / "bus_logs/kona"


def said(payload: str, identifier=ANSWER):
    got = decode(KONA, segments(bytes.fromhex(payload), identifier))
    assert not got.rejected, got.rejected
    (reading,) = got.readings
    return reading


def captured(car: str) -> list[tuple[int | None, str, str]]:
    """Return (identifier of the answer, request, response) of a car."""
    rows = json.loads(EVDASH.read_text())[car]
    return [
        (
            None if row["tx_id"] == "7DF" else int(row["tx_id"], 16) + 8,
            row["request"],
            row["response"],
        )
        for row in rows
    ]


MAIN = [r for i, q, r in captured("KiaEniro") if (i, q) == (ANSWER, "220101")]


def test_main_values_of_an_e_niro():
    reading = said(MAIN[0])
    values = dict(reading.values)
    assert reading.message == "main"
    assert values["current_a"] == -17.7  # the BMS says 17.7 A while driving
    assert values["voltage_v"] == 383.8
    assert values["soc"] == 0.765
    assert values["temperature_degc"] == (17, 16, 15, 18)
    assert values["kona_temperature_max_degc"] == 18
    assert values["kona_temperature_min_degc"] == 15
    assert (values["kona_max_cell_v"], values["kona_max_cell"]) == (3.92, 56)
    assert (values["kona_min_cell_v"], values["kona_min_cell"]) == (3.9, 11)
    assert values["aux_voltage_v"] == 13.2
    assert values["charge_throughput_ah"] == 1443.6
    assert values["kona_discharge_throughput_ah"] == 1370.1
    assert values["energy_throughput_wh"] == 543_400
    assert values["kona_discharge_energy_wh"] == 498_000
    assert values["kona_operating_time_s"] == 411_393
    assert values["isolation_ohm"] == 1_000_000
    assert values["contactors_closed"] is True


def test_the_second_answer_differs_as_the_car_did():
    values = said(MAIN[1]).values
    assert values["voltage_v"] == 399.5 and values["soc"] == 0.895
    assert values["kona_operating_time_s"] == 430_117


def test_every_answer_of_both_batteries():
    """Each of the 13 answers of a BMS gives its reading; no other unit's does."""
    n_read = 0
    for car in ("KiaEniro", "HyundaiIoniq"):
        for identifier, request, response in captured(car):
            raw = bytes.fromhex(response)
            got = decode(KONA, [Frame(0.0, "c", "rx", raw, identifier or 0x7E8)])
            assert not got.rejected
            if identifier != ANSWER:
                assert not got.readings
                continue
            (reading,) = got.readings
            assert reading.values and reading.raw == raw
            assert reading.raw[1:].startswith(bytes.fromhex(request)[1:])
            n_read += 1
    assert n_read == 13


def test_payloads_without_identifiers():
    frames = [
        Frame(0.0, "c", "tx", bytes.fromhex("220101")),
        Frame(0.1, "c", "rx", bytes.fromhex(MAIN[0])),
    ]
    (reading,) = decode(KONA, frames).readings
    assert reading.identifier is None and reading.values["voltage_v"] == 383.8


def test_cells_of_an_e_niro():
    frames = [
        Frame(0.0, "c", "rx", bytes.fromhex(r), i)
        for i, q, r in captured("KiaEniro")
        if i == ANSWER and q in ("220102", "220103", "220104", "220105")
    ]
    values = decode(KONA, frames).merged()
    cells = values["cell_voltage_v"]
    assert len(cells) == 98 and not any(math.isnan(v) for v in cells)
    assert cells[:32] == (4.06,) * 32
    assert (cells[50], cells[54], cells[96], cells[97]) == (4.04, 4.14, 4.06, 4.06)
    assert values["reported_soh"] == 1.0


def test_health():
    values = said(
        "620105003fff9000000000000000000F8A86012B4946500101500DAC03E800000000AC0000C7C7"
        "01000F00000000AAAA"
    ).values
    assert values["reported_soh"] == 1.0 and values["kona_display_soc"] == 0.86
    assert values["cell_voltage_v"][96:] == (3.98, 3.98)


def test_an_ioniq_answers_one_byte_earlier():
    rows = {q: r for i, q, r in captured("HyundaiIoniq") if i == ANSWER}
    values = said(rows["2101"]).values
    assert (values["kona_max_cell_v"], values["kona_max_cell"]) == (4.1, 5)
    assert (values["kona_min_cell_v"], values["kona_min_cell"]) == (4.08, 10)
    assert values["voltage_v"] == 393.6 and values["soc"] == 0.945
    assert values["temperature_degc"] == (11,) * 5
    # Two proofs from other messages: the weakest cell, and 96 cells make the pack.
    frames = [
        Frame(0.0, "c", "rx", bytes.fromhex(rows[f"210{i}"]), ANSWER) for i in (2, 3, 4)
    ]
    cells = decode(KONA, frames).merged()["cell_voltage_v"]
    assert cells[9] == min(cells) == 4.08 and max(cells) == 4.1 and len(cells) == 96
    assert sum(cells) == pytest.approx(393.6, abs=96 * 0.02)
    health = said(rows["2105"]).values
    assert health["reported_soh"] == 1.0 and health["kona_display_soc"] == 0.99
    assert "cell_voltage_v" not in health


def block(*cells: int, did: int = 4) -> str:
    return f"6201{did:02X}FFFFFFFF" + bytes(cells).hex() + "AAAA"


def test_places_without_cells_at_the_end():
    cells = said(block(*[200] * 26, *[0] * 6)).values["cell_voltage_v"]
    assert len(cells) == 90 and cells[-1] == 4.0
    one_lost = said(block(*[200] * 31, 0)).values["cell_voltage_v"]
    assert len(one_lost) == 96 and math.isnan(one_lost[-1])
    inside = said(block(*[200] * 10, 0, *[200] * 21)).values["cell_voltage_v"]
    assert len(inside) == 96 and math.isnan(inside[74])
    first = said(block(*[200] * 30, 0, 0, did=2)).values["cell_voltage_v"]
    assert len(first) == 32 and math.isnan(first[31])


def test_a_dead_cell_is_a_cell():
    assert said(block(20, *[200] * 31)).values["cell_voltage_v"][64] == 0.4


def test_fault_codes():
    assert said("5902FF").values == {"fault_codes": ()}
    reading = said("5902FF 0AA600 2C 1B7700 08 1B8000 50")
    assert reading.values == {"fault_codes": ("P0AA6", "P1B77")}
    assert [n.code for n in reading.notices] == ["critical_fault_code"]


@pytest.mark.parametrize(
    ("path", "soc"),
    [
        (LOGS / "main_relay_on.asc", 0.489),
        (BUS_LOGS / "precharge_relay.asc", 0.491),
    ],
    ids=["main", "precharge"],
)
def test_a_pack_on_the_bench(path, soc):
    """2021 64 kWh pack alone on its bus, a tester switching its relays."""
    frames = list(asc_frames(path))
    got = decode(KONA, frames)
    assert not got.rejected
    counts = {r.message: 0 for r in got.readings}
    for reading in got.readings:
        counts[reading.message] += 1
    expected = {
        f"broadcast_{i:X}": sum(f.identifier == i for f in frames)
        for i in (0x594, 0x595, 0x596, 0x5A3)
    }
    assert counts == expected and min(counts.values()) >= 30
    values = got.merged()
    assert values["voltage_v"] == 360.8
    assert values["current_a"] == 0.0
    assert values["max_charge_power_w"] == 85_000
    assert values["max_discharge_power_w"] == 85_000
    assert values["kona_broadcast_soc"] == pytest.approx(soc, abs=0.003)
    assert 12 < values["aux_voltage_v"] < 12.5
    assert values["kona_temperature_min_degc"] in (10, 11)
    assert values["contactors_closed"] is False  # one relay alone


def test_answers_of_a_kona_to_an_app():
    """DCAN of a 2021 Kona: sessions, empty lists of trouble codes, refusals."""
    got = decode(KONA, gvret_frames(BUS_LOGS / "car_scanner.csv", "1"))
    assert {r.message for r in got.readings} == {"fault_codes"}
    assert [dict(r.values) for r in got.readings] == [{"fault_codes": ()}] * 6
    assert len(got.rejected) == 7
    for rejected in got.rejected:
        assert rejected.raw == bytes.fromhex("7F1811")
        assert "service 18: service not supported" in rejected.error.message


def test_a_kona_that_is_switched_on():
    """Ready-on draws up to 3.4 A while its voltage falls: discharge is negative."""
    path = shared("can_kona/230112-7-2019-pcan-ccan-power-off-on-ready-off.csv")
    frames = list(gvret_frames(path, "0"))
    got = decode(KONA, frames)
    flow = [r.values for r in got.readings if r.message == "broadcast_595"]
    assert len(flow) == sum(f.identifier == 0x595 for f in frames) == 70
    assert not got.rejected
    assert min(v["current_a"] for v in flow) == -3.4
    idle = [v["voltage_v"] for v in flow if v["current_a"] == 0.0]
    drawn = [v["voltage_v"] for v in flow if v["current_a"] < -2]
    assert min(idle[1:]) >= 354.9 and max(drawn) <= 355.0
    states = [
        r.values["contactors_closed"]
        for r in got.readings
        if r.message == "broadcast_5A3"
    ]
    assert states[0] is False and True in states


def test_the_other_bus_of_the_car_is_refused():
    """The C-CAN uses 595 and 596 for other things: nothing is read into them."""
    path = shared("can_kona/230112-7-2019-pcan-ccan-power-off-on-ready-off.csv")
    got = decode(KONA, gvret_frames(path, "1"))
    assert {r.message for r in got.readings} == {"broadcast_596"}
    assert got.merged() == {}
    assert {r.message for r in got.rejected} == {"broadcast_595"}
    assert all("P-CAN" in r.error.hint for r in got.rejected)


def test_what_may_be_sent():
    permitted = list(KONA.permitted)
    for request in (*KONA.requests({}), *KONA.probes, *KONA.clear_faults):
        assert request in permitted
    assert {r.data[0] for r in permitted if r.allow is Allow.READ} == {0x19, 0x22}
    assert not KONA.keep_alive
    ioniq = protocol("kona", ioniq=True)
    assert [r.data.hex() for r in ioniq.probes] == ["2101"]
    assert [r.name for r in ioniq.requests({})][:5] == [
        "main",
        "cells_1",
        "cells_2",
        "cells_3",
        "health",
    ]
    frames = one("037F2112AAAAAAAA", ANSWER)
    asked = Frame(0.0, "c", "tx", bytes.fromhex("0221020000000000"), 0x7E4)
    (rejected,) = decode(ioniq, [asked, *frames]).rejected
    assert rejected.message == "cells_1"
