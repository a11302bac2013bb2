"""Simulated CAN devices behind SLCAN: python-can, can-isotp, our driver and decoders.

In the first part values are cut out of the answers by hand, as the facts describe
them; in the second the real decoders read them. Encoders and decoders were written
apart; the pack model's truth is what both have to give.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import can
import isotp
import pytest

from battlife.drivers.can_bus import CanBus
from battlife.drivers.session import Session
from battlife.errors import InputError, RigTimeoutError
from battlife.model import Frame, Reading, Rejected
from battlife.model.frame import SIMULATED_DATA, SIMULATED_ID
from battlife.simulate import FAULTS, Running, running
from battlife.simulate.can_bus import FILLER_ID
from battlife.simulate.dbc_device import PACK_DBC

CAN_PROTOCOLS = (
    "daly_can",
    "dbc",
    "kona",
    "leaf",
    "lv_can",
    "meb",
    "zoe_gen1",
    "zoe_gen2",
)
KEEP_ALIVE = can.Message(
    arbitration_id=0x423,
    is_extended_id=False,
    data=bytes.fromhex("071D00025D805DC8"),
)


def standing() -> float:
    """A clock for packs whose truth is to stand still."""
    return 0.0


@contextmanager
def python_can(device: Running, bitrate: int = 500_000) -> Iterator[can.BusABC]:
    """python-can's own class, unmodified."""
    with can.Bus(
        interface="slcan",
        channel=device.channel.removeprefix("slcan:"),
        bitrate=bitrate,
        sleep_after_open=0,
    ) as bus:
        yield bus


def heard(
    device: Running, enough: Callable[[list[Frame]], bool], wait_s: float = 2.0
) -> tuple[list[Frame], int]:
    """Return what our driver receives until it is enough, and what it lost."""
    driver = CanBus(device.channel, bitrate=500_000, clock=time.monotonic)
    frames: list[Frame] = []
    driver.open()
    try:
        end = time.monotonic() + wait_s
        while not enough(frames) and time.monotonic() < end:
            frame = driver.read(0.05)
            if frame is not None:
                frames.append(frame)
        return frames, driver.n_lost
    finally:
        driver.close()


def seen(bus: can.BusABC, enough: Callable[[list[can.Message]], bool]) -> list:
    """Receive until it is enough, for two seconds at most."""
    messages: list[can.Message] = []
    end = time.monotonic() + 2
    while not enough(messages) and time.monotonic() < end:
        message = bus.recv(0.1)
        if message is not None:
            messages.append(message)
    return messages


class Asker:
    """Asks by can-isotp; `each` is sent every 50 ms meanwhile."""

    def __init__(
        self,
        bus: can.BusABC,
        request_id: int,
        response_id: int,
        *,
        block_size: int = 0,
        separation_ms: int = 0,
        each: can.Message | None = None,
    ) -> None:
        extended = request_id > 0x7FF
        kind = isotp.AddressingMode
        mode = kind.Normal_29bits if extended else kind.Normal_11bits
        self._bus, self._each, self._sent_s = bus, each, 0.0
        self._stack = isotp.CanStack(
            bus,
            address=isotp.Address(mode, txid=request_id, rxid=response_id),
            params={
                "blocksize": block_size,
                "stmin": separation_ms,
                "tx_padding": 0,
                "rx_consecutive_frame_timeout": 400,
            },
            error_handler=lambda error: self.errors.append(error),
        )
        self.errors: list[Exception] = []

    def asked(self, request: str, wait_s: float = 2.0) -> bytes:
        """Return the answer, b"" for none."""
        self._stack.send(bytes.fromhex(request))
        end = time.monotonic() + wait_s
        while not self._stack.available() and time.monotonic() < end:
            now = time.monotonic()
            if self._each is not None and now - self._sent_s > 0.05:
                self._bus.send(self._each)
                self._sent_s = now
            self._stack.process()
            time.sleep(0.0005)
        return self._stack.recv() or b""


def u16(data: bytes, scale: float = 1.0) -> list[float]:
    return [
        int.from_bytes(data[i : i + 2], "big") * scale for i in range(0, len(data), 2)
    ]


@pytest.mark.parametrize("tcp", [None, 0])
@pytest.mark.parametrize("protocol", CAN_PROTOCOLS)
def test_python_can_opens_it_and_sees_the_mark(protocol: str, tcp: int | None) -> None:
    bitrate = 250_000 if protocol == "daly_can" else 500_000
    with running(protocol, tcp=tcp) as device, python_can(device, bitrate) as bus:
        assert device.channel.startswith("slcan:socket://" if tcp == 0 else "slcan:/")
        (message,) = seen(bus, lambda got: bool(got))
        assert message.arbitration_id == SIMULATED_ID
        assert bytes(message.data) == SIMULATED_DATA
        assert bus.get_serial_number(1.0) == "SIMU"
        assert bus.get_version(1.0) == (0, 0)
        assert device.writes == ()
        assert device.received.startswith(b"C\rS")
    assert not [t for t in threading.enumerate() if t.name.startswith("simulated")]


@pytest.mark.parametrize("tcp", [None, 0])
def test_our_driver_hears_the_leaf_and_loses_nothing(tcp: int | None) -> None:
    with running("leaf", tcp=tcp, clock=standing) as device:
        frames, lost = heard(device, lambda got: len(got) > 250)
        voltage = device.truth()["voltage_v"]
    power = [f.data for f in frames if f.identifier == 0x1DB]
    counters = [data[6] & 3 for data in power]
    assert len(power) > 60
    assert lost == 0
    assert all((b - a) % 4 == 1 for a, b in zip(counters, counters[1:], strict=False))
    shown = int.from_bytes(power[0][2:4], "big") >> 6
    assert shown / 2 == pytest.approx(voltage, abs=0.26)
    assert {f.identifier for f in frames} >= {0x1DC, 0x55B, 0x5BC, 0x5C0, 0x59E}


@pytest.mark.parametrize("block_size", [0, 1])
def test_leaf_diagnostics(block_size: int) -> None:
    with running("leaf", clock=standing) as device, python_can(device) as bus:
        tester = Asker(bus, 0x79B, 0x7BB, block_size=block_size)
        truth = device.truth()
        state = tester.asked("2101")
        assert len(state) == 43
        assert u16(state[20:22], 0.01) == pytest.approx(
            [truth["voltage_v"]], abs=0.0051
        )
        soc = int.from_bytes(state[31:34], "big") / 1e6
        assert soc == pytest.approx(truth["soc"], abs=1e-6)
        ah = int.from_bytes(state[35:38], "big") / 1e4
        assert ah == pytest.approx(truth["full_capacity_ah"], abs=1e-4)
        cells = tester.asked("2102")
        assert u16(cells[2:194], 0.001) == pytest.approx(
            list(truth["cell_voltage_v"]), abs=0.00051
        )
        assert tester.asked("2183") == b"\x61\x83SIMUL-A"
        assert tester.asked("2199") == b"\x7f\x21\x12"
        assert tester.errors == []
        assert device.writes == ()


def test_leaf_codes_are_cleared_and_the_clearing_is_recorded() -> None:
    with (
        running("leaf", faults=["fault_codes"]) as device,
        python_can(device) as bus,
    ):
        tester = Asker(bus, 0x79B, 0x7BB)
        stored = bytes.fromhex("59024e" + "33d7004e" + "33d9004e")
        assert tester.asked("19020e") == stored
        assert device.truth()["fault_codes"] == ("cell_overvoltage", "short_circuit")
        everything = tester.asked("1902ff")
        assert everything[: len(stored)] == stored
        assert len(everything) == len(stored) + 4 * 149
        assert tester.asked("14ffffff") == b"\x54"
        assert tester.asked("19020e") == b"\x59\x02\x4e"
        assert device.truth()["fault_codes"] == ()
        assert device.writes == (b"\x14\xff\xff\xff",)


@pytest.mark.parametrize("variant", ["ze0", "aze0", "ze1"])
def test_leaf_variants_tell_themselves_apart(variant: str) -> None:
    with (
        running("leaf", variant=variant, clock=standing) as device,
        python_can(device) as bus,
    ):
        identifiers = {m.arbitration_id for m in seen(bus, lambda got: len(got) > 300)}
        tester = Asker(bus, 0x79B, 0x7BB)
        assert (
            len(tester.asked("2101")) - 2 == {"ze0": 39, "aze0": 41, "ze1": 51}[variant]
        )
        health = tester.asked("2161")
    assert (0x59E in identifiers) == (variant == "aze0")
    assert (0x5EB in identifiers) == (variant == "ze1")
    if variant == "ze1":
        assert len(health) == 331 and u16(health[4:6]) == [9000]
    else:
        assert health == b"\x7f\x21\x12"


def test_the_zoe_sleeps_until_it_is_kept_awake() -> None:
    with running("zoe_gen1", clock=standing) as device, python_can(device) as bus:
        asleep = Asker(bus, 0x79B, 0x7BB)
        assert asleep.asked("10c0", wait_s=0.3) == b""
        ids = {m.arbitration_id for m in seen(bus, lambda got: len(got) > 1)}
        assert ids == {SIMULATED_ID}
        awake = Asker(bus, 0x79B, 0x7BB, each=KEEP_ALIVE)
        assert awake.asked("2101") == b"\x7f\x21\x7f"  # no session yet
        assert awake.asked("10c0") == b"\x50\xc0"
        truth = device.truth()
        first, second = awake.asked("2141"), awake.asked("2142")
        assert u16(first[2:] + second[2:], 0.001) == pytest.approx(
            list(truth["cell_voltage_v"]), abs=0.00051
        )
        state = awake.asked("2101")
        assert (u16(state[2:4])[0] - 5000) / 10 == pytest.approx(
            truth["current_a"], abs=0.051
        )
        assert u16(state[45:47], 100) == pytest.approx([truth["isolation_ohm"]])
        ids = {m.arbitration_id for m in seen(bus, lambda got: len(got) > 15)}
        assert {0x155, 0x424, 0x425} <= ids
        time.sleep(0.25)
        assert asleep.asked("2101", wait_s=0.2) == b""
        assert device.writes == ()


def test_a_blown_fuse_of_the_zoe_shows() -> None:
    with (
        running("zoe_gen1", faults=["blown_service_fuse"]) as device,
        python_can(device) as bus,
    ):
        tester = Asker(bus, 0x79B, 0x7BB, each=KEEP_ALIVE)
        while not tester.asked("10c0", wait_s=0.3):
            pass
        cells = u16(tester.asked("2141")[2:])
        assert cells[47] < 100 < min(cells[:47] + cells[48:])


def test_zoe_gen2_diagnostics() -> None:
    with running("zoe_gen2", clock=standing) as device, python_can(device) as bus:
        tester = Asker(bus, 0x18DADBF1, 0x18DAF1DB)
        assert tester.asked("229001") == b"\x7f\x22\x7f"
        assert tester.asked("1003") == bytes.fromhex("5003003201f4")
        truth = device.truth()
        got = {did: tester.asked(f"22{did}")[3:] for did in ("9005", "925d", "9003")}
        assert u16(got["9005"], 0.1) == pytest.approx([truth["voltage_v"]], abs=0.051)
        current = (u16(got["925d"])[0] - 32640) / 32
        assert current == pytest.approx(truth["current_a"], abs=0.016)
        assert u16(got["9003"], 1e-4) == pytest.approx([truth["reported_soh"]])
        for i, did in ((0, "9021"), (31, "9041"), (95, "9083")):
            (cell,) = u16(tester.asked(f"22{did}")[3:], 1 / 1024)
            assert cell == pytest.approx(truth["cell_voltage_v"][i], abs=0.0005)
        assert tester.asked("229040") == b"\x7f\x22\x31"


def test_kona_diagnostics() -> None:
    with running("kona", clock=standing) as device, python_can(device) as bus:
        tester = Asker(bus, 0x7E4, 0x7EC)
        truth = device.truth()
        cells: list[int] = []
        for page in ("220102", "220103", "220104"):
            cells += tester.asked(page)[7:39]
        cells += tester.asked("220105")[37:39]
        assert [c / 50 for c in cells] == pytest.approx(
            list(truth["cell_voltage_v"]), abs=0.0101
        )
        state = tester.asked("220101")
        current = int.from_bytes(state[13:15], "big", signed=True) / -10
        assert current == pytest.approx(truth["current_a"], abs=0.051)
        charged = int.from_bytes(state[33:37], "big") / 10
        assert charged == pytest.approx(truth["charge_throughput_ah"], abs=0.051)
        assert u16(state[60:62], 1000) == pytest.approx([truth["isolation_ohm"]])


def test_meb_diagnostics() -> None:
    with (
        running(
            "meb", variant="84s", faults=["low_isolation"], clock=standing
        ) as device,
        python_can(device) as bus,
    ):
        tester = Asker(bus, 0x17FC007B, 0x17FE007B)
        truth = device.truth()
        current = int.from_bytes(tester.asked("221e3d")[3:], "big") / 100 - 1500
        assert current == pytest.approx(truth["current_a"], abs=0.0051)
        (last,) = u16(tester.asked(f"22{0x1E40 + 83:04x}")[3:])
        assert (last + 1000) / 1000 == pytest.approx(
            truth["cell_voltage_v"][83], abs=0.00051
        )
        assert tester.asked(f"22{0x1E40 + 84:04x}")[3:] == b"\x0f\xfe"
        assert tester.asked("190209") == bytes.fromhex("59024e0aa6004e")
        assert tester.asked("04") == b"\x44"
        assert tester.asked("190209") == bytes.fromhex("59024e0aa6004e"), "still there"


def test_daly_on_can_answers_all_cells() -> None:
    with (
        running("daly_can", clock=standing) as device,
        python_can(device, 250_000) as bus,
    ):
        ask = can.Message(arbitration_id=0x18950140, data=bytes(8))
        bus.send(ask)
        got = seen(bus, lambda m: sum(x.arbitration_id == 0x18954001 for x in m) == 6)
        pages = [m.data for m in got if m.arbitration_id == 0x18954001]
        truth = device.truth()
        assert [p[0] for p in pages] == [1, 2, 3, 4, 5, 6]
        cells = [mv for p in pages for mv in u16(bytes(p[1:7]), 0.001)][:16]
        assert cells == pytest.approx(list(truth["cell_voltage_v"]), abs=0.00051)
        bus.send(can.Message(arbitration_id=0x18900240, data=bytes(8)))
        bus.send(can.Message(arbitration_id=0x18D90140, data=bytes(8)))
        end = time.monotonic() + 2
        while not device.writes and time.monotonic() < end:
            time.sleep(0.005)
        assert device.writes == (bytes.fromhex("18D90140") + bytes(8),)


def test_lv_storage_says_all_in_half_a_second() -> None:
    with running("lv_can", clock=standing) as device, python_can(device) as bus:
        got = seen(bus, lambda m: len(m) > 30)
        truth = device.truth()
    data = {m.arbitration_id: bytes(m.data) for m in got}
    assert {0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F, 0x373, 0x379} <= set(data)
    volt = int.from_bytes(data[0x356][:2], "little") / 100
    current = int.from_bytes(data[0x356][2:4], "little", signed=True) / 10
    low = int.from_bytes(data[0x373][:2], "little") / 1000
    assert volt == pytest.approx(truth["voltage_v"], abs=0.0051)
    assert current == pytest.approx(truth["current_a"], abs=0.051)
    assert low == pytest.approx(min(truth["cell_voltage_v"]), abs=0.00051)


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {"wrong_baud"}))
def test_a_leaf_with_any_fault_is_heard_at_first(fault: str) -> None:
    with running("leaf", faults=[fault]) as device:
        frames, _ = heard(device, lambda got: any(f.identifier == 0x1DB for f in got))
        assert frames[-1].identifier == 0x1DB


def test_another_baud_rate_gives_no_frame_and_is_counted() -> None:
    with running("leaf", faults=["wrong_baud"]) as device:
        frames, lost = heard(device, lambda got: bool(got), wait_s=1.0)
    assert frames == []
    assert lost > 3


def test_noise_loses_frames_and_never_makes_one() -> None:
    with running("leaf", faults=["noise"], clock=standing) as device:
        frames, lost = heard(device, lambda got: len(got) > 200)
    known = {SIMULATED_ID, 0x1DB, 0x1DC, 0x55B, 0x5BC, 0x5C0, 0x59E}
    assert {f.identifier for f in frames} <= known
    assert lost > 10


def test_corrupted_frames_of_the_leaf_fail_their_checksum() -> None:
    def crc(data: bytes) -> int:
        # Bit by bit as a division, another way than the encoder's.
        bits = int.from_bytes(data, "big") << 8
        for i in range(8 * len(data) - 1, -1, -1):
            if bits >> (i + 8) & 1:
                bits ^= 0x185 << i
        return bits

    with running("leaf", faults=["corrupted_frames"], clock=standing) as device:
        frames, lost = heard(
            device,
            lambda got: sum(f.identifier in (0x1DB, 0x1DC) for f in got) >= 100,
        )
    assert lost > 0  # 0x5BC and the others have no checksum: their lines are broken
    own = [f.data for f in frames if f.identifier in (0x1DB, 0x1DC)]
    wrong = [d for d in own if crc(d[:7]) != d[7]]
    assert 15 <= len(wrong) <= 35


def test_a_full_bus_reaches_our_driver_without_a_gap() -> None:
    with running("leaf", bus_load=1.0) as device:
        frames, lost = heard(device, lambda got: False, wait_s=1.0)
    numbers = [
        int.from_bytes(f.data[:4], "big") for f in frames if f.identifier == FILLER_ID
    ]
    assert lost == 0
    assert len(numbers) > 2000
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_wrong_options_are_named() -> None:
    with pytest.raises(InputError) as caught, running("leaf", variant="ze9"):
        pass
    assert "ze1" in caught.value.hint


# What each protocol carries, and half of its resolution (of the coarsest message that
# has it) with a little for the rounding of the truth.
RESOLUTIONS: Mapping[str, Mapping[str, float]] = {
    "daly_can": {
        "voltage_v": 0.051,
        "current_a": 0.051,
        "cell_voltage_v": 0.00051,
        "temperature_degc": 0.51,
        "soc": 0.00051,
        "cycle_count": 0.0,
        "design_capacity_ah": 0.001,
    },
    "kona": {
        "voltage_v": 0.051,
        "current_a": 0.051,
        "cell_voltage_v": 0.0101,
        "temperature_degc": 0.51,
        "soc": 0.0026,
        "reported_soh": 0.00051,
        "isolation_ohm": 501.0,
        "charge_throughput_ah": 0.051,
        "energy_throughput_wh": 51.0,
        "contactors_closed": 0.0,
    },
    "leaf": {
        "voltage_v": 0.26,
        "current_a": 0.26,
        "cell_voltage_v": 0.00051,
        "soc": 0.00051,
        "reported_soh": 0.0051,
        "full_capacity_ah": 0.0001,
        "isolation_ohm": 501.0,
        "contactors_closed": 0.0,
    },
    "lv_can": {
        "voltage_v": 0.0051,
        "current_a": 0.051,
        "soc": 0.0051,
        "reported_soh": 0.0051,
    },
    "meb": {
        "voltage_v": 0.126,
        "current_a": 0.0051,
        "cell_voltage_v": 0.00051,
        "temperature_degc": 0.063,
        "soc": 0.0021,
        "reported_soh": 0.00005,
        "energy_throughput_wh": 0.06,
    },
    "zoe_gen1": {
        "voltage_v": 0.26,
        "current_a": 0.126,
        "cell_voltage_v": 0.00051,
        "temperature_degc": 0.51,
        "soc": 0.0051,
        "reported_soh": 0.0051,
        "full_capacity_ah": 0.0001,
        "isolation_ohm": 51.0,
        "energy_throughput_wh": 501.0,
        "contactors_closed": 0.0,
    },
    "zoe_gen2": {
        "voltage_v": 0.051,
        "current_a": 0.016,
        "cell_voltage_v": 0.0005,
        "temperature_degc": 0.032,
        "soc": 0.00006,
        "reported_soh": 0.00006,
    },
}


@contextmanager
def session(device: Running, protocol: str, options: str = "") -> Iterator[Session]:
    query = "?bitrate=250000" if protocol == "daly_can" else options
    target = f"{protocol}@{device.channel}{query}"
    with Session(target, wake=protocol.startswith("zoe")) as opened:
        yield opened


def read_all(
    opened: Session, wanted: set[str], wait_s: float = 3.0
) -> tuple[dict[str, object], list[Reading], list[Rejected]]:
    """Read cycles until all that is wanted was heard."""
    values: dict[str, object] = {}
    readings: list[Reading] = []
    rejected: list[Rejected] = []
    end = time.monotonic() + wait_s
    while wanted - values.keys() and time.monotonic() < end:
        snapshot = opened.read()
        values = dict(snapshot.values)
        readings += snapshot.readings
        rejected += snapshot.rejected
    return values, readings, rejected


@pytest.mark.parametrize(
    ("protocol", "tcp"), [*((p, None) for p in RESOLUTIONS), ("leaf", 0), ("meb", 0)]
)
def test_the_decoder_reads_the_truth(protocol: str, tcp: int | None) -> None:
    wanted = RESOLUTIONS[protocol]
    with running(protocol, tcp=tcp, clock=standing) as device:
        with session(device, protocol) as opened:
            values, _, _ = read_all(opened, {*wanted, "fault_codes"})
            assert opened.n_lost == 0
        truth = device.truth()
        assert device.writes == ()
    for name, resolution in wanted.items():
        assert values[name] == pytest.approx(truth[name], abs=resolution), name
    assert values["fault_codes"] == ()


@pytest.mark.parametrize("variant", ["ze0", "aze0", "ze1"])
def test_a_reset_leaf_claims_all_and_has_measured_less(variant: str) -> None:
    with running(
        "leaf", variant=variant, faults=["bms_reset"], clock=standing
    ) as device:
        with session(device, "leaf") as opened:
            values, readings, _ = read_all(opened, {"reported_soh", "full_capacity_ah"})
        truth = device.truth()
    assert values["reported_soh"] == 1.0
    assert values["full_capacity_ah"] == pytest.approx(
        truth["full_capacity_ah"], abs=1e-4
    )
    codes = {notice.code for reading in readings for notice in reading.notices}
    if variant != "ze1":  # 40 and 62 kWh look alike, so nothing can be compared
        assert "reported_soh_disagrees" in codes


def test_leaf_temperatures_have_the_empty_place() -> None:
    with running("leaf", clock=standing) as device:
        with session(device, "leaf") as opened:
            values, _, _ = read_all(opened, {"temperature_degc"})
        first, second, third = device.truth()["temperature_degc"]
    read = values["temperature_degc"]
    assert math.isnan(read[2])
    assert [read[0], read[1], read[3]] == pytest.approx(
        [first, second, third], abs=0.51
    )


@pytest.mark.parametrize(
    ("protocol", "fault", "code"),
    [
        ("leaf", "low_isolation", "P0AA6"),
        ("leaf", "fault_codes", "P33D7"),
        ("kona", "low_isolation", "P0AA6"),
        ("meb", "low_isolation", "P0AA6"),
        ("zoe_gen1", "low_isolation", "P0AA6"),
        ("zoe_gen2", "low_isolation", "P0AA6"),
        ("lv_can", "over_temperature", "over-temperature"),
    ],
)
def test_a_code_of_the_pack_is_read(protocol: str, fault: str, code: str) -> None:
    with running(protocol, faults=[fault]) as device:
        with session(device, protocol) as opened:
            values, readings, _ = read_all(opened, {"fault_codes"})
    assert code in values["fault_codes"]
    critical = {n.code for reading in readings for n in reading.notices}
    if fault != "fault_codes":
        assert "critical_fault_code" in critical


def test_a_blown_fuse_of_the_zoe_is_critical_and_no_cell_voltage() -> None:
    with running("zoe_gen1", faults=["blown_service_fuse"], clock=standing) as device:
        with session(device, "zoe_gen1") as opened:
            values, readings, _ = read_all(opened, {"cell_voltage_v"})
        truth = device.truth()["cell_voltage_v"]
    cells = values["cell_voltage_v"]
    assert [i for i, volt in enumerate(cells) if math.isnan(volt)] == [47]
    assert cells[48] == pytest.approx(truth[48], abs=0.00051)
    notices = [n for reading in readings for n in reading.notices]
    assert any(n.code == "critical_fault_code" for n in notices)


def test_a_zoe_that_is_not_woken_is_a_timeout_with_a_hint() -> None:
    with running("zoe_gen1") as device:
        with Session(f"zoe_gen1@{device.channel}") as opened:
            with pytest.raises(RigTimeoutError) as caught:
                opened.read(timeout_s=1.0)
        assert b"t4238" not in device.received
        assert device.writes == ()
    assert "--wake" in caught.value.hint


@pytest.mark.parametrize("fault", ["corrupted_frames", "dropped_frames", "noise"])
def test_a_bad_line_gives_right_values_or_none(fault: str) -> None:
    wanted = RESOLUTIONS["leaf"]
    with running("leaf", faults=[fault], clock=standing) as device:
        with session(device, "leaf") as opened:
            snapshots = [opened.read(), opened.read()]
            assert opened.n_lost > 0 or any(s.rejected for s in snapshots)
        truth = device.truth()
    seen_names = set()
    for reading in (r for s in snapshots for r in s.readings):
        for name in wanted.keys() & reading.values.keys():
            seen_names.add(name)
            assert reading.values[name] == pytest.approx(
                truth[name], abs=wanted[name]
            ), name
    assert {"voltage_v", "current_a", "soc"} <= seen_names


def test_a_dbc_pack_is_read_by_its_own_file(tmp_path: Path) -> None:
    described = tmp_path / "pack.dbc"
    described.write_text(PACK_DBC)
    with running("dbc", clock=standing, dbc=described) as device:
        with session(device, "dbc", f"?dbc={described}") as opened:
            values, _, rejected = read_all(opened, {"dbc_PackState_PackVoltage"})
        truth = device.truth()
    assert rejected == []
    assert values["dbc_PackState_PackVoltage"] == pytest.approx(
        truth["voltage_v"], abs=0.0051
    )
    assert values["dbc_CellVoltages2_CellVoltage8"] == pytest.approx(
        truth["cell_voltage_v"][7], abs=0.00051
    )
    assert values["dbc_Temperatures_Temperature2"] == pytest.approx(
        truth["temperature_degc"][1], abs=0.051
    )
