"""Every simulated device, read, streamed, probed and recorded by battlife.

Two proofs, both against an encoder that knows nothing of the decoders: what is read
is what is true of the pack, within the resolution of the protocol; and what the
device received is nothing but requests that its protocol permits.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from battlife.drivers import probing
from battlife.drivers.gate import belongs
from battlife.drivers.probing import probe
from battlife.drivers.session import Session, Snapshot
from battlife.drivers.target import parse_target
from battlife.errors import InputError
from battlife.model import Allow, Frame, Request, Value, WireProtocol
from battlife.recording import Rig, RigDevice, record
from battlife.simulate import PROTOCOLS, Running, running
from battlife.simulate.dbc_device import PACK_DBC

PER_CENT = 0.0051
ONE_DEGREE = 0.51
TENTH_KELVIN = 0.051  # of 273.1, not of 273.15: the published offset
MILLIVOLT = 0.00051
SLEEPS = frozenset({"zoe_gen1"})
"""Devices that say nothing unless they are kept awake."""
NOT_FOUND = frozenset({"dbc", "jk_pb", "zoe_gen1"})
"""Devices that a probe does not find: any bus has some DBC file; what reads a JK PB is
a write for others; a first Zoe sleeps."""
UDS_READS = frozenset({0x10, 0x19, 0x21, 0x22, 0x3E})
"""ISO 14229 and ISO 14230: session, fault codes, data by identifier, tester present."""


@dataclass(frozen=True)
class Resolution:
    """Half of the last digit of what a protocol sends; absent is what it lacks.

    `sensors` are those of the pack that it sends as `temperature_degc`, in order.
    """

    voltage_v: float
    current_a: float
    cell_voltage_v: float | None
    temperature_degc: float | None
    soc: float | None
    sensors: tuple[int, int | None] = (0, None)
    others: Mapping[str, float] = field(default_factory=dict)


RESOLUTION: Mapping[str, Resolution] = {
    "daly_can": Resolution(
        0.051, 0.051, MILLIVOLT, ONE_DEGREE, 0.00051,
        others={"design_capacity_ah": 0.001, "cycle_count": 0},
    ),
    "daly_modbus": Resolution(
        0.051, 0.051, MILLIVOLT, ONE_DEGREE, 0.00051, others={"cycle_count": 0}
    ),
    "daly_uart": Resolution(
        0.051, 0.051, MILLIVOLT, ONE_DEGREE, 0.00051,
        others={"design_capacity_ah": 0.001, "cycle_count": 0},
    ),
    "dbc": Resolution(
        0.0051, 0.051, MILLIVOLT, TENTH_KELVIN, 0.0026,
        others={"reported_soh": 0.0026},
    ),
    "jbd_uart": Resolution(
        0.0051, 0.0051, MILLIVOLT, TENTH_KELVIN, PER_CENT,
        others={"design_capacity_ah": 0.0051, "cycle_count": 0},
    ),
    "jk_pb": Resolution(
        MILLIVOLT, MILLIVOLT, MILLIVOLT, TENTH_KELVIN, PER_CENT,
        others={
            "design_capacity_ah": 0.001,
            "full_capacity_ah": 0.001,
            "reported_soh": PER_CENT,
            "cycle_count": 0,
        },
    ),
    "jk_uart": Resolution(
        0.0051, 0.0051, MILLIVOLT, ONE_DEGREE, PER_CENT, sensors=(1, None),
        others={"design_capacity_ah": 0.51, "cycle_count": 0},
    ),
    "kona": Resolution(
        0.051, 0.051, 0.0101, ONE_DEGREE, 0.0026,
        others={
            "reported_soh": 0.00051,
            "isolation_ohm": 510,
            "contactors_closed": 0,
            "charge_throughput_ah": 0.051,
            "energy_throughput_wh": 51,
        },
    ),
    "leaf": Resolution(
        0.26, 0.26, MILLIVOLT, ONE_DEGREE, 0.00051,
        others={
            "full_capacity_ah": 0.0001,
            "isolation_ohm": 510,
            "contactors_closed": 0,
        },
    ),
    "lv_can": Resolution(
        0.0051, 0.051, None, None, PER_CENT, others={"reported_soh": PER_CENT}
    ),
    "meb": Resolution(
        0.126, 0.0051, MILLIVOLT, 0.063, 0.0021,
        others={"reported_soh": 0.0001, "energy_throughput_wh": 0.12},
    ),
    "pace_rs232": Resolution(
        MILLIVOLT, 0.0051, MILLIVOLT, TENTH_KELVIN, 0.0001, sensors=(0, 4),
        others={
            "full_capacity_ah": 0.0051, "design_capacity_ah": 0.0051, "cycle_count": 0
        },
    ),
    "pylontech_modbus": Resolution(
        0.0051, 0.051, None, None, PER_CENT,
        others={"reported_soh": PER_CENT, "design_capacity_ah": 0.051},
    ),
    "pylontech_rs485": Resolution(
        MILLIVOLT, 0.051, MILLIVOLT, TENTH_KELVIN, 0.0001, sensors=(1, None),
        others={"full_capacity_ah": 0.001, "cycle_count": 0},
    ),
    "renogy_modbus": Resolution(
        0.051, 0.0051, 0.051, TENTH_KELVIN, None,
        others={"full_capacity_ah": 0.001, "cycle_count": 0},
    ),
    "seplos_v2": Resolution(
        0.0051, 0.0051, MILLIVOLT, TENTH_KELVIN, 0.00051, sensors=(0, 4),
        others={
            "full_capacity_ah": 0.0051,
            "design_capacity_ah": 0.0051,
            "reported_soh": 0.00051,
            "cycle_count": 0,
        },
    ),
    "seplos_v3": Resolution(
        0.0051, 0.0051, MILLIVOLT, TENTH_KELVIN, 0.00051,
        others={
            "full_capacity_ah": 0.0051, "reported_soh": 0.00051, "cycle_count": 0
        },
    ),
    "zoe_gen1": Resolution(
        0.26, 0.051, MILLIVOLT, ONE_DEGREE, 0.000051,
        others={
            "reported_soh": 0.0026,
            "isolation_ohm": 51,
            "contactors_closed": 0,
            "energy_throughput_wh": 510,
        },
    ),
    "zoe_gen2": Resolution(
        0.051, 0.016, MILLIVOLT, 0.032, 0.000051, others={"reported_soh": 0.00005}
    ),
}  # fmt: skip


def standing() -> float:
    """A clock for packs whose truth is to stand still."""
    return 0.0


DBC_MAP = """
voltage_v = "PackState.PackVoltage"
current_a = "PackState.PackCurrent"
soc = {signal = "PackState.StateOfCharge", scale = 0.01}
reported_soh = {signal = "PackState.StateOfHealth", scale = 0.01}
contactors_closed = "PackState.ContactorsClosed"
cell_voltage_v = {signals = [
  "CellVoltages1.CellVoltage1", "CellVoltages1.CellVoltage2",
  "CellVoltages1.CellVoltage3", "CellVoltages1.CellVoltage4",
  "CellVoltages2.CellVoltage5", "CellVoltages2.CellVoltage6",
  "CellVoltages2.CellVoltage7", "CellVoltages2.CellVoltage8",
]}
temperature_degc = {signals = [
  "Temperatures.Temperature1", "Temperatures.Temperature2",
]}
"""


@pytest.fixture
def dbc(tmp_path: Path) -> str:
    """The options of a target that name a DBC file and its map."""
    file, signals = tmp_path / "pack.dbc", tmp_path / "pack.toml"
    file.write_text(PACK_DBC)
    signals.write_text(DBC_MAP)
    return f"?dbc={file}&map={signals}"


@contextmanager
def served(protocol: str, dbc: str, *faults: str) -> Iterator[tuple[Running, str]]:
    """Serve a device; gives it and its target."""
    with running(protocol, seed=1, clock=standing, faults=faults) as device:
        yield device, f"{protocol}@{device.channel}" + dbc * (protocol == "dbc")


def expected(device: Running, resolution: Resolution) -> dict[str, Value]:
    """Return what is true, and what a BMS can only claim."""
    truth: dict[str, Value] = dict(device.truth())
    degrees = truth["temperature_degc"]
    assert isinstance(degrees, tuple)
    truth["temperature_degc"] = degrees[slice(*resolution.sensors)]
    if not device.channel.startswith("slcan:"):
        # What the weakest cell holds is nothing that these devices measure.
        truth["full_capacity_ah"] = next(iter(device.packs.values())).shown().full_ah
    return truth


def assert_true(got: Snapshot, truth: Mapping[str, Value], step: Resolution) -> None:
    steps: dict[str, float | None] = {
        "voltage_v": step.voltage_v,
        "current_a": step.current_a,
        "cell_voltage_v": step.cell_voltage_v,
        "temperature_degc": step.temperature_degc,
        "soc": step.soc,
        **step.others,
    }
    for name, half in steps.items():
        if half is None:
            assert name not in got.values or name == "temperature_degc"
            continue
        value, wanted = got.values[name], truth[name]
        if isinstance(wanted, tuple):
            assert isinstance(value, tuple)
            if name == "temperature_degc":  # NaN is a sensor that is not fitted
                value = tuple(v for v in value if v == v)
            assert value == pytest.approx(wanted, abs=half), name
        else:
            assert value == pytest.approx(wanted, abs=half), name


def sent(device: Running) -> Iterator[Frame]:
    """Yield the frames among what an SLCAN adapter received; commands are checked."""
    kinds = {"t": (3, False, False), "T": (8, True, False)}
    kinds |= {"d": (3, False, True), "D": (8, True, True)}
    for line in device.received.decode("ascii").split("\r"):
        if line[:1] not in kinds:
            assert re.fullmatch(r"|[COLVNF]|S[0-8]|Z[01]|Y[25]", line), line
            continue
        digits, extended, fd = kinds[line[0]]
        data = bytes.fromhex(line[digits + 2 :])
        identifier = int(line[1 : digits + 1], 16)
        yield Frame(0.0, "", "tx", data, identifier, extended, fd)


def assert_permitted(
    device: Running, wire: WireProtocol, *, wake: bool = False, probing: bool = False
) -> list[str]:
    """Prove that nothing else was received; return the names of what was."""
    assert device.writes == ()
    allows = {Allow.READ}
    allows |= set() if probing else {Allow.UNSAFE_PROBE}
    allows |= {Allow.WAKE} if wake else set()
    lawful = [r for r in wire.permitted if r.allow in allows]
    if wire.medium == "serial":
        return consumed(device.received, lawful)
    names = []
    for frame in sent(device):
        owners = [r for r in lawful if belongs(frame, r)]
        assert owners, f"{frame.identifier:X}#{frame.data.hex()}"
        names.append(owners[0].name)
        if owners[0].answer is not None and frame.data[0] >> 4 == 0:
            assert frame.data[1] in UDS_READS
    return names


def consumed(received: bytes, lawful: list[Request]) -> list[str]:
    """Cut bytes into requests, whole ones and no byte between them."""
    names = []
    while received:
        owners = [r for r in lawful if received.startswith(r.data)]
        assert owners, received.hex()
        longest = max(owners, key=lambda r: len(r.data))
        received = received[len(longest.data) :]
        names.append(longest.name)
    return names


def test_the_table_has_every_protocol() -> None:
    assert set(RESOLUTION) == set(PROTOCOLS)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_reading_is_the_truth(protocol: str, dbc: str) -> None:
    resolution, wake = RESOLUTION[protocol], protocol in SLEEPS
    with served(protocol, dbc) as (device, target):
        with Session(target, wake=wake) as opened:
            snapshot = opened.read()
            wire = opened.wire
            assert opened.n_lost == 0
        assert_true(snapshot, expected(device, resolution), resolution)
        names = assert_permitted(device, wire, wake=wake)
    assert snapshot.timeouts == ()
    assert all("refuses" in r.error.message or "04" in r.error.message
               for r in snapshot.rejected)  # fmt: skip
    if snapshot.values.get("fault_codes") is not None:
        assert snapshot.values["fault_codes"] == ()
    beats = {r.name for r in wire.keep_alive}
    assert wake or not beats & set(names)
    assert bool(names) == bool(wire.requests({}) or (wake and beats))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_and_a_probe_send_reads_alone(
    protocol: str, dbc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = parse_target(f"{protocol}@COM1" + dbc * (protocol == "dbc")).wire()
    if wire.medium == "serial" or wire.probes:
        monkeypatch.setattr(probing, "LISTEN_S", 0.1)
    key = "baud" if wire.medium == "serial" else "bitrate"
    with served(protocol, dbc) as (device, target):
        options = {key: str(wire.bauds[0])}
        found = list(probe(device.channel, [wire], options=options))
        probed = assert_permitted(device, wire, probing=True)
        assert [h.protocol for h in found] == (
            [] if protocol in NOT_FOUND else [protocol]
        )
        assert set(probed) <= {r.name for r in wire.probes}
        with Session(target) as opened:
            stream = opened.stream(1.1 if protocol == "lv_can" else 0.3)
            first, second = next(stream), next(stream)
            stream.close()
        assert_permitted(device, wire)
        if protocol not in SLEEPS:
            assert first.values and second.readings


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_recording_sends_reads_alone_and_is_marked(
    protocol: str, dbc: str, tmp_path: Path
) -> None:
    wake = protocol in SLEEPS
    with served(protocol, dbc) as (device, target):
        rig = Rig("bench", (RigDevice("pack", target, 0.2),))
        found = record(
            rig,
            tmp_path / "a.h5",
            unit="u1",
            duration_s=1.2 if protocol == "lv_can" else 0.3,
            wake=wake,
            no_limits=True,
        )
        assert_permitted(device, parse_target(target).wire(), wake=wake)
    assert found.simulated
    assert found.n_samples > 0
    assert found.n_lost == 0
    assert found.n_timeouts == 0


@pytest.mark.parametrize("protocol", ["zoe_gen1", "zoe_gen2"])
def test_keep_alive_frames_leave_only_when_asked_for(protocol: str, dbc: str) -> None:
    for wake in (False, True):
        with served(protocol, dbc) as (device, target):
            with Session(target, wake=wake) as opened:
                begun = time.monotonic()
                stream = opened.stream(0.3)
                for _ in range(2):
                    next(stream)
                stream.close()
                seconds = time.monotonic() - begun
            names = assert_permitted(device, opened.wire, wake=wake)
            beats = {r.name for r in opened.wire.keep_alive}
            assert len(beats) > 0
            count = sum(name in beats for name in names)
            due = seconds / opened.wire.keep_alive_s
            assert count == 0 if not wake else due / 2 < count <= math.ceil(due) + 1


CLEARING = sorted(
    p for p in PROTOCOLS if p != "dbc" and parse_target(f"{p}@COM1").wire().clear_faults
)


@pytest.mark.parametrize("protocol", CLEARING)
def test_faults_are_cleared_only_by_name(protocol: str, dbc: str) -> None:
    wake = protocol in SLEEPS
    with served(protocol, dbc, "fault_codes") as (device, target):
        with Session(target, wake=wake) as opened:
            (clear,) = opened.wire.clear_faults
            with pytest.raises(InputError, match="unless it is allowed"):
                opened.ask(clear)
        assert device.writes == ()
        with Session(target, wake=wake, writes=[clear.name]) as opened:
            assert opened.read().values["fault_codes"]
            assert device.writes == ()
            assert clear.name in {r.message for r in opened.ask(clear).readings}
            assert device.writes == (clear.data,)
            assert opened.read().values["fault_codes"] == ()
        assert device.writes == (clear.data,)
