"""Diagnostic services of a simulated control unit."""

from typing import Any

import pytest

from battlife.simulate.can_bus import BusFrame, PackView
from battlife.simulate.isotp_server import IsoTpServer
from battlife.simulate.pack_model import PackModel
from battlife.simulate.uds_server import Code, DiagnosedNode, UdsServer

CODES = {"cell_overvoltage": 0x33D7, "short_circuit": 0x33D9}


def served(*faults: str, **options: Any) -> UdsServer:
    view = PackView(PackModel(faults=frozenset(faults)))
    return UdsServer(
        view,
        lambda request: b"\xab" if request[-1] == 0x01 else None,
        CODES,
        **options,
    )


def asked(server: UdsServer, request: str, now_s: float = 0.0) -> str:
    answer = server.answer(bytes.fromhex(request), now_s)
    return "" if answer is None else answer.hex()


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("2101", "6101ab"),
        ("220101", "620101ab"),
        ("2102", "7f2112"),
        ("220102", "7f2231"),
        ("21", "7f2113"),
        ("2201", "7f2213"),
        ("1001", "5001"),
        ("1003", "7f1012"),
        ("10", "7f1013"),
        ("3e00", "7e00"),
        ("3e80", ""),
        ("190a", "7f1913"),
        ("190a00", "7f1912"),
        ("19020e", "59024e"),
    ],
)
def test_services(request_: str, answer: str) -> None:
    server = served()
    assert asked(server, request_) == answer
    assert server.writes == []


def test_reading_may_need_a_session_that_ends() -> None:
    server = served(session=0xC0)
    assert asked(server, "2101", 0.0) == "7f217f"
    assert asked(server, "10c0", 0.0) == "50c0"
    assert asked(server, "2101", 4.9) == "6101ab"
    assert asked(server, "3e00", 9.8) == "7e00"
    assert asked(server, "2101", 14.7) == "6101ab"
    assert asked(server, "2101", 19.8) == "7f217f"
    assert asked(server, "10c0", 20.0) == "50c0"
    assert asked(server, "1081", 20.0) == "5081"
    assert asked(server, "2101", 20.0) == "7f217f"
    assert asked(served(session=3, long_session=True), "1003") == "5003003201f4"


def test_codes_are_those_that_the_mask_asks_for() -> None:
    untested = (Code(0x3300, 0x40),)
    server = served("fault_codes", other_codes=lambda: untested)
    stored = "59024e" + "33d7004e" + "33d9004e"
    assert asked(server, "19020e") == stored
    assert asked(server, "1902ff") == stored + "33000040"
    assert asked(server, "190201") == "59024e"


def test_codes_of_a_real_leaf() -> None:
    # Battery-Emulator test NissanLeafTest: U1000, P33D7, P33D9, P33DD.
    real = "59024e" + "d000004e" + "33d7004e" + "33d9004e" + "33dd004e"
    codes = tuple(Code(n) for n in (0xD000, 0x33D7, 0x33D9, 0x33DD))
    assert asked(served(other_codes=lambda: codes), "19020e") == real


@pytest.mark.parametrize(
    ("clear", "done", "options"),
    [("14ffffff", "54", {}), ("04", "44", {"clears_by_obd": True})],
)
def test_clearing_forgets_what_is_stored(
    clear: str, done: str, options: dict[str, object]
) -> None:
    server = served("fault_codes", **options)
    assert len(asked(server, "19020e")) > 6
    assert asked(server, clear) == done
    assert asked(server, "19020e") == "59024e"
    assert server.writes == [bytes.fromhex(clear)]


@pytest.mark.parametrize(
    ("write", "refusal"),
    [
        ("2e010200", "7f2e33"),
        ("3101ff00", "7f3133"),
        ("1101", "7f1111"),
        ("14000000", "7f1411"),
        ("04", "7f0411"),
    ],
)
def test_another_write_is_recorded_and_refused(write: str, refusal: str) -> None:
    server = served("fault_codes")
    assert asked(server, write) == refusal
    assert server.writes == [bytes.fromhex(write)]
    assert len(asked(server, "19020e")) > 6


def test_a_frame_for_nobody_counts_as_a_write() -> None:
    server = served()
    transport = IsoTpServer(0x79B, 0x7BB, server.answer)
    node = DiagnosedNode(server, transport, expected=frozenset({0x1D4}))
    assert node.take(BusFrame(0x79B, bytes.fromhex("022101")), 0.0)
    assert node.take(BusFrame(0x1D4, bytes(8)), 0.0) == []
    assert node.writes == []
    assert node.take(BusFrame(0x123, b"\xaa"), 0.0) == []
    assert node.writes == [bytes.fromhex("00000123aa")]
