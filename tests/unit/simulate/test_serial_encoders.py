"""Encoders of the simulated serial devices against frames of real ones."""

from dataclasses import replace

from battlife.simulate import ascii_devices, ascii_frames, daly, jbd, modbus_devices
from battlife.simulate.pack_model import PackModel, PackSpec

BASE = PackModel(PackSpec()).shown()


def test_jbd_says_what_a_real_one_said() -> None:
    # dbus-serialbattery issue 265: 14.15 V, 299.47 of 301.00 Ah, 343 cycles.
    shown = replace(
        BASE,
        voltage_v=14.15,
        current_a=0.0,
        cell_voltage_v=(3.538, 3.538, 3.540, 3.542),
        temperature_degc=(32.1, 30.4, 29.8),
        soc=0.99,
        remaining_ah=299.47,
        design_ah=301.0,
        cycle_count=343,
        balancing=(False,) * 4,
        alarms=frozenset(),
        charge_enabled=True,
        discharge_enabled=True,
    )
    real = bytes.fromhex(
        "DD03001D0587000074FB759401572E9D00000000000061630304030BEC0BDB0BD5F83177"
    )
    ours = jbd.message(3, jbd.basic(shown))
    # Version (byte 22) is ours; it moves the checksum.
    assert ours[:22] + ours[23:-3] == real[:22] + real[23:-3]
    assert jbd.message(3, real[4:-3]) == real


def test_daly_has_the_sum_of_a_real_frame() -> None:
    real = bytes.fromhex("A5 01 90 08 02 FC 00 00 75 A1 00 00 52")
    shown = replace(BASE, voltage_v=76.4, current_a=-11.3, soc=0.0)
    (data,) = daly.data(0x90, shown)
    assert daly.frame(1, 0x90, data) == real


def test_pylontech_says_what_a_real_one_said() -> None:
    real = (
        b"~20024600F07A11020F0CC50CC30CC50CC40CC40CC60CC50CC40CC70CC50CC60CC60CC50CC6"
        b"0CC6050B370B230B230B2D0B2DFFE0BF8DFFFF04FFFF001B00BBE4012110E1D6\r"
    )
    mv = (3269, 3267, 3269, 3268, 3268, 3270, 3269, 3268, 3271, 3269, 3270, 3270)
    shown = replace(
        BASE,
        voltage_v=49.037,
        current_a=-3.2,
        cell_voltage_v=tuple(v / 1000 for v in (*mv, 3269, 3270, 3270)),
        temperature_degc=(14.0, 12.0, 12.0, 13.0, 13.0),
        remaining_ah=48.1,
        full_ah=74.0,
        design_ah=74.0,
        cycle_count=27,
    )
    info = ascii_devices.pylontech_analog(2, shown)
    assert ascii_frames.frame(0x20, 2, 0, info) == real


def test_seplos_v2_says_what_a_real_one_said() -> None:
    real = (
        b"~2000460010960001100CD70CE90CF40CD60CEF0CE50CE10CDC0CE90CF00CE80CEF0CEA0CDA"
        b"0CDE0CD8060BA60BA00B970BA60BA50BA2FD5C14A0344E0A426803134650004603E8149F"
        b"0000000000000000DC6C\r"
    )
    raw = bytes.fromhex(real[1:-5].decode())
    cells = [int.from_bytes(raw[9 + 2 * i : 11 + 2 * i], "big") for i in range(16)]
    assert cells[:3] == [3287, 3305, 3316]
    shown = replace(
        BASE,
        voltage_v=52.80,
        current_a=-6.76,
        cell_voltage_v=tuple(v / 1000 for v in cells),
        temperature_degc=(25.1, 24.5, 23.6, 25.1, 25.0, 24.7),
        remaining_ah=133.9,
        full_ah=170.0,
        soc=0.787,
        design_ah=180.0,
        cycle_count=70,
        soh=1.0,
    )
    ours = ascii_frames.frame(0x20, 0, 0, ascii_devices.seplos_telemetry(shown))
    # The port's voltage (52.79 V) is measured apart on the real one.
    at = real.index(b"149F0000")
    assert ours[:at] == real[:at]
    assert ours[at + 4 : -5] == real[at + 4 : -5]


def test_modbus_crc_is_that_of_a_real_request() -> None:
    real = bytes.fromhex("01031016000D610B")
    assert modbus_devices.crc(real[:-2]) == real[-2:]
    assert modbus_devices.take(bytearray(b"\xff\x00" + real)) == real
