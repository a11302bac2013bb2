"""Simulated serial devices behind their real transports."""

import threading
from collections.abc import Mapping

import pytest
import serial

from battlife.drivers.session import Session
from battlife.errors import InputError
from battlife.model.frame import SIMULATED_LINE
from battlife.simulate import FAULTS, running
from battlife.simulate.serving import TcpPort, pump

READS: Mapping[str, str] = {
    "jbd_uart": "DDA50300FFFD77",
    "daly_uart": "A540900800000000000000007D",
    "jk_uart": "4E5700130000000006030000000000006800000129",
    "jk_pb": "01101620000102 0000D6F1",
    "pylontech_rs485": b"~20024642E00202FD33\r".hex(),
    "pylontech_modbus": "01031016000D610B",
    "seplos_v2": b"~20004642E00200FD37\r".hex(),
}


def asked(channel: str, request: bytes, wait_s: float = 0.3) -> bytes:
    with serial.serial_for_url(channel, 9600, timeout=wait_s) as port:
        port.write(request)
        answer = bytes(port.read(1))
        port.timeout = 0.05
        return answer + bytes(port.read(1000))


@pytest.mark.parametrize("tcp", [None, 0])
@pytest.mark.parametrize("protocol", READS)
def test_a_read_is_answered_behind_the_mark(protocol: str, tcp: int | None) -> None:
    request = bytes.fromhex(READS[protocol])
    with running(protocol, tcp=tcp) as device:
        answer = asked(device.channel, request)
        assert device.received == request
        assert device.writes == ()
    assert answer.startswith(SIMULATED_LINE)
    assert len(answer) > len(SIMULATED_LINE) + 12
    assert not [t for t in threading.enumerate() if t.name.startswith("simulated")]


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - {"dropped_frames"}))
def test_every_fault_still_answers_at_first(fault: str) -> None:
    with running("jbd_uart", faults=[fault]) as device:
        assert asked(device.channel, bytes.fromhex(READS["jbd_uart"]))


def test_a_write_is_recorded() -> None:
    write = bytes.fromhex("DD5A00025678FF3077")
    with running("jbd_uart") as device:
        asked(device.channel, write)
        assert device.writes == (write,)


def test_two_packs_on_one_line_answer_apart() -> None:
    with running("pylontech_rs485", addresses=(2, 3)) as device:
        answer = asked(device.channel, bytes.fromhex(READS["pylontech_rs485"]))
        assert b"~200246" in answer and b"~200346" not in answer
        assert device.truth(2) != device.truth(3)


def test_jbd_shows_the_truth_within_its_resolution() -> None:
    with running("jbd_uart") as device:
        answer = asked(device.channel, bytes.fromhex("DDA50400FFFC77"))
        cells = answer.removeprefix(SIMULATED_LINE)[4:-3]
        truth = device.truth()["cell_voltage_v"]
    assert isinstance(truth, tuple)
    for i, volt in enumerate(truth):
        shown = int.from_bytes(cells[2 * i : 2 * i + 2], "big") / 1000
        assert shown == pytest.approx(volt, abs=0.003)


def test_an_unknown_fault_names_the_known_ones() -> None:
    with pytest.raises(InputError) as caught, running("jbd_uart", faults=["gremlin"]):
        pass
    assert "weak_cell" in caught.value.hint


# Requests as published; checksums by hand (sum and CRC-16 of the published methods).
FURTHER_READS: Mapping[str, tuple[str, int]] = {
    "daly_modbus": ("D2030000003ED7B9", 62),
    "renogy_modbus": ("300313B20007A48A", 7),
}


@pytest.mark.parametrize("protocol", FURTHER_READS)
def test_registers_are_answered_with_their_crc(protocol: str) -> None:
    request, n_registers = FURTHER_READS[protocol]
    with running(protocol) as device:
        answer = asked(device.channel, bytes.fromhex(request))
        assert device.writes == ()
    answer = answer.removeprefix(SIMULATED_LINE)
    assert answer[:3] == bytes.fromhex(request)[:2] + bytes([2 * n_registers])
    assert len(answer) == 5 + 2 * n_registers
    assert modbus_crc(answer) == 0


def test_daly_registers_stand_where_they_are_published() -> None:
    with running("daly_modbus", clock=lambda: 0.0) as device:
        answer = asked(device.channel, bytes.fromhex("D2030000003ED7B9"))
        truth = device.truth()
    data = answer.removeprefix(SIMULATED_LINE)[3:-2]
    assert int.from_bytes(data[0:2], "big") / 1000 == pytest.approx(
        truth["cell_voltage_v"][0], abs=0.00051
    )
    current = (int.from_bytes(data[82:84], "big") - 30000) / 10
    assert current == pytest.approx(truth["current_a"], abs=0.051)
    assert int.from_bytes(data[98:100], "big") == 16


def test_pace_characters_stand_where_they_are_published() -> None:
    request = b"~250046420000FDA9\r"
    with running("pace_rs232", clock=lambda: 0.0) as device:
        answer = asked(device.channel, request).removeprefix(SIMULATED_LINE)
        shown = device.packs[0].shown()
    assert answer[:9] == b"~25004600"
    assert int(answer[17:19], 16) == 16
    assert int(answer[19:23], 16) / 1000 == pytest.approx(
        shown.cell_voltage_v[0], abs=0.00051
    )
    assert int(answer[117:121], 16) / 100 == pytest.approx(
        shown.remaining_ah, abs=0.0051
    )
    assert int(answer[127:131], 16) == shown.cycle_count


def modbus_crc(message: bytes) -> int:
    """0 for a message with its right CRC behind it."""
    value = 0xFFFF
    for byte in message:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


@pytest.mark.parametrize(
    ("protocol", "code"),
    [
        ("pylontech_rs485", "discharge current other fault"),
        ("seplos_v2", "output short circuit protection"),
        ("pace_rs232", "short circuit protection"),
    ],
)
def test_ascii_batteries_tell_their_faults(protocol: str, code: str) -> None:
    with running(protocol, faults=["fault_codes"], clock=lambda: 0.0) as device:
        with Session(f"{protocol}@{device.channel}") as pack:
            found = pack.read()
    codes = found.values["fault_codes"]
    assert isinstance(codes, tuple) and code in codes
    assert len(codes) > 1
    with running(protocol, clock=lambda: 0.0) as device:
        with Session(f"{protocol}@{device.channel}") as pack:
            assert pack.read().values["fault_codes"] == ()


def test_a_pack_of_four_has_an_open_sense_wire_too() -> None:
    with running("jbd_uart", faults=["open_sense_wire"], clock=lambda: 0.0) as device:
        with Session(f"jbd_uart@{device.channel}") as pack:
            cells = pack.read().values["cell_voltage_v"]
    assert isinstance(cells, tuple)
    assert cells[2] == 0.0
    assert float(cells[3]) > 6.0


def test_time_begins_with_the_first_byte_of_a_client() -> None:
    now = [1000.0]
    stop = threading.Event()
    times: list[float] = []

    class Noting:
        backlog = 0

        def __init__(self) -> None:
            self.received = bytearray()
            self.writes: list[bytes] = []

        def connected(self) -> None: ...

        def take(self, data: bytes, now_s: float) -> bytes:
            self.received += data
            return b""

        def due(self, now_s: float) -> bytes:
            times.append(now_s)
            now[0] += 1.0  # nobody may come for long
            if len(times) == 7:
                self.received += b"x"
            if len(times) == 10:
                stop.set()
            return b""

    pump(
        Noting(),
        TcpPort(0),
        unplug=True,
        stop=stop,
        ready=lambda channel: None,
        clock=lambda: now[0],
    )
    assert times == [0.0] * 8 + [1.0, 2.0]
