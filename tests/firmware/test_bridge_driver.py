"""The real driver against the compiled firmware over a pseudo-terminal."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cell_bridge import calibrated, flashed, wire

from battlife.drivers.probing import probe
from battlife.drivers.session import Session
from battlife.errors import InputError, ProtocolError
from battlife.model import Request
from battlife.recording import Rig, RigDevice, record
from battlife.simulate import running
from battlife.wire import bridge
from battlife.wire.bridge import ARM, CLEAR, DISARM, Bridge

Start = Callable[[], Any]


@pytest.fixture
def start(built: Path, pty_rig: Callable[..., Any], tmp_path: Path) -> Start:
    def begin() -> Any:
        elf = built / "m328p" / "cell_bridge.elf"
        return pty_rig(flashed(elf, tmp_path, calibrated()))

    return begin


def test_a_reading_is_what_the_inputs_are(start: Start) -> None:
    rig = start()
    rig.command("afe cell 0 4 34567")
    rig.command("analog 0 2008")
    with Session(f"bridge@{rig.port}") as opened:
        opened.read()
        values = opened.read().values
        assert opened.n_lost == 0
    cells = [3.6] * 12
    cells[4] = 3.4567
    assert values["cell_voltage_v"] == pytest.approx(cells)
    assert values["voltage_v"] == pytest.approx(sum(cells))
    assert values["current_a"] == pytest.approx(-2.0)
    assert values["temperature_degc"] == pytest.approx([25.0] * 4)
    assert values["contactors_closed"] is False
    assert values["fault_codes"] == ()
    assert values["software_version"] == "1.0"


def until(opened: Session, state: str) -> None:
    for _ in range(300):
        if opened.read().values["bridge_state"] == state:
            return
    raise AssertionError(f"the bridge never was {state}")


def test_the_contactor_moves_only_on_named_requests(start: Start) -> None:
    rig = start()
    with Session(f"bridge@{rig.port}", wake=True) as opened:
        until(opened, "ready")
        for request in (ARM, DISARM, CLEAR):
            with pytest.raises(InputError, match="unless it is allowed"):
                opened.ask(request)
    assert rig.command("coil log") == ""
    with Session(f"bridge@{rig.port}", wake=True, writes=["arm", "disarm"]) as opened:
        until(opened, "ready")
        assert opened.ask(ARM).values["bridge_state"] == "closed"
        for _ in range(20):
            opened.read()
        assert rig.command("contactor") == "coil=1 contact=1"
        assert opened.read().values["contactors_closed"] is True
        assert opened.ask(DISARM).values["bridge_state"] == "ready"
    assert rig.command("contactor").startswith("coil=0")


def test_without_wake_nothing_is_armed(start: Start) -> None:
    rig = start()
    with Session(f"bridge@{rig.port}", writes=["arm"]) as opened:
        until(opened, "ready")
        with pytest.raises(ProtocolError, match="host silent") as refused:
            opened.ask(ARM)
    assert "--wake" in refused.value.hint
    assert rig.command("coil log") == ""


def test_a_fault_is_told_and_cleared_by_name(start: Start) -> None:
    rig = start()
    with Session(f"bridge@{rig.port}", wake=True, writes=["clear"]) as opened:
        until(opened, "ready")
        rig.command("afe cell 0 2 43000")
        until(opened, "tripped")
        assert opened.read().values["fault_codes"] == ("over_voltage",)
        with pytest.raises(ProtocolError, match="still faulty"):
            opened.ask(CLEAR)
        rig.command("afe cell 0 2 41000")
        until(opened, "tripped")
        for _ in range(50):
            if opened.read().values["bridge_live_faults"] == ():
                break
        assert opened.ask(CLEAR).values["fault_codes"] == ()
        until(opened, "ready")


def test_a_foreign_firmware_is_refused_with_reflash(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = start()
    monkeypatch.setattr(bridge.bl, "HASH", 0x12345678)
    foreign = Request("identity", wire("ask_identity", hash_=0x12345678), gap_s=0.0)
    monkeypatch.setattr(bridge, "IDENTITY", foreign)
    monkeypatch.setattr(Bridge, "permitted", (foreign, bridge.MEASUREMENT))
    with (
        Session(f"bridge@{rig.port}") as opened,
        pytest.raises(ProtocolError, match="speaks protocol") as refused,
    ):
        opened.read()
    assert "reflash" in refused.value.hint


def test_it_is_found_and_recorded(start: Start, tmp_path: Path) -> None:
    rig = start()
    found = list(probe(rig.port, [Bridge()], options={"baud": "1000000"}))
    assert [hit.protocol for hit in found] == ["bridge"]
    made = record(
        Rig("bench", (RigDevice("pack", f"bridge@{rig.port}", 0.1),)),
        tmp_path / "a.h5",
        unit="u1",
        duration_s=1.0,
        no_limits=True,
    )
    assert made.n_samples > 0
    assert (made.n_lost, made.n_timeouts) == (0, 0)
    assert rig.command("coil log") == ""


def test_the_simulated_bridge_is_the_truth_and_marked(
    built: Path, tmp_path: Path
) -> None:
    with running("bridge", seed=1, clock=lambda: 0.0) as device:
        with Session(f"bridge@{device.channel}") as opened:
            opened.read()
            values = opened.read().values
        made = record(
            Rig("bench", (RigDevice("pack", f"bridge@{device.channel}", 0.2),)),
            tmp_path / "a.h5",
            unit="u1",
            duration_s=0.5,
            no_limits=True,
        )
        truth = device.truth()
        assert device.writes == ()
    assert made.simulated and made.n_samples > 0
    assert values["cell_voltage_v"] == pytest.approx(truth["cell_voltage_v"], abs=6e-5)
    assert values["current_a"] == pytest.approx(truth["current_a"], abs=0.026)
    degrees = values["temperature_degc"]
    assert isinstance(degrees, tuple) and not any(map(math.isnan, degrees))
    assert degrees == pytest.approx(truth["temperature_degc"], abs=0.35)
