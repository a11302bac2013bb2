"""The verbs that talk to devices, as an operator types them.

In process where nothing but the result matters, as a process where a signal does.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from battlife.cli import run
from battlife.simulate import Running, running

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="a pseudo-terminal needs POSIX"
)

# Frames of real devices; where they come from stands with each test.
JBD_STATE = "DD03001D0587000074FB759401572E9D00000000000061630304030BEC0BDB0BD5F83177"
LEAF_STATE = (
    ">79B#0221010000000000,7BB#102B6101FFFFFC4E,>79B#3000000000000000,"
    "7BB#21028AFFFFFF46FF,7BB#22FFFFFF12902AF8,7BB#238FCD32DE038B00,"
    "7BB#245C1F3D000896C6,7BB#25000B3290800001,7BB#2600000000000000"
)
KONA_STATE = (
    "7EC#620101FFF7E7FF99000000000300B10EFE120F11100F12000018C438C30B00008400003864"
    "000035850000153A00001374000647010D017F0BDA0BDA03E8"
)
PYLONTECH = (
    "~20024600F07A11020F0CC50CC30CC50CC40CC40CC60CC50CC40CC70CC50CC60CC60CC50CC60CC6"
    "050B370B230B230B2D0B2DFFE0BF8DFFFF04FFFF001B00BBE4012110E1D6"
)
PYLONTECH_MODBUS = (
    ">01031016000D610B,<01031A052CFFD00CF00CEF00960096005B0063003F00000B9003E803E845D8"
)


class Done(NamedTuple):
    code: int
    rows: list[dict[str, Any]]
    out: str
    err: str


class Typed:
    """Runs a command line in this process; JSON where asked for."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Done:
        self._capsys.readouterr()
        before = signal.getsignal(signal.SIGTERM)
        try:
            code = run([str(a) for a in arguments])
        finally:
            signal.signal(signal.SIGTERM, before)
        out, err = self._capsys.readouterr()
        asked = "--json" in arguments
        rows = [json.loads(line) for line in out.splitlines()] if asked else []
        assert all(row["schema"] == 1 for row in rows)
        return Done(code, rows, out, err)


@pytest.fixture
def typed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Typed:
    monkeypatch.chdir(tmp_path)
    return Typed(capsys)


@pytest.fixture
def jbd() -> Iterator[Running]:
    with running("jbd_uart", seed=1) as device:
        yield device


def rig(target: str, limits: str, *, more: str = "") -> Path:
    path = Path("rig.toml")
    path.write_text(
        f'[rig]\nname = "bench"\n[[device]]\nname = "pack"\ntarget = "{target}"\n'
        f"period_s = 0.2\n{more}\n[limits]\n{limits}\n"
    )
    return path


@pytest.mark.parametrize(
    ("protocol", "frames", "message_values"),
    [
        # dbus-serialbattery, issue 265
        (
            "jbd_uart",
            JBD_STATE,
            {"voltage_v": 14.15, "current_a": 0.0, "soc": 0.99, "cycle_count": 343},
        ),
        # OVMS, issue 162: a 30 kWh pack
        (
            "leaf",
            LEAF_STATE,
            {"hx": 0.7997, "soc": 0.5629, "full_capacity_ah": 73.384},
        ),
        # evDash, CarKiaEniro
        (
            "kona",
            KONA_STATE,
            {"voltage_v": 383.8, "current_a": -17.7, "isolation_ohm": 1e6},
        ),
        # python-pylontech and public notes of a US2000
        (
            "pylontech_rs485",
            PYLONTECH,
            {"voltage_v": 49.037, "current_a": -3.2, "full_capacity_ah": 74.0},
        ),
        # aiobmsble, docs/pylontech_bms.md
        (
            "pylontech_modbus",
            PYLONTECH_MODBUS,
            {"voltage_v": 13.24, "current_a": -4.8, "reported_soh": 0.99},
        ),
    ],
)
def test_decode(
    protocol: str, frames: str, message_values: dict[str, float], typed: Typed
) -> None:
    done = typed("decode", "--protocol", protocol, "--hex", frames, "--json")
    assert done.code == 0
    (row,) = done.rows
    assert row["protocol"] == protocol
    for name, value in message_values.items():
        assert row["values"][name] == pytest.approx(value, abs=5e-5 * max(1, value))
    shown = typed("decode", "--protocol", protocol, "--hex", frames)
    assert shown.code == 0
    assert all(name in shown.out for name in message_values)


@pytest.mark.parametrize(
    ("protocol", "frames"),
    [
        ("jbd_uart", JBD_STATE.replace("0587", "0588")),
        ("pylontech_rs485", PYLONTECH.replace("FFE0", "FFE1")),
        ("pylontech_modbus", PYLONTECH_MODBUS.replace("052C", "052D")),
        ("leaf", LEAF_STATE.replace("7BB#23", "7BB#24")),
    ],
)
def test_a_message_that_is_not_right_gives_no_value(
    protocol: str, frames: str, typed: Typed
) -> None:
    done = typed("decode", "--protocol", protocol, "--hex", frames, "--json")
    assert done.code == 4
    assert done.rows
    assert all(row["values"] == {} and row["error"]["message"] for row in done.rows)
    assert "Traceback" not in done.err
    assert typed("decode", "--protocol", protocol, "--hex", frames).out == ""


def test_a_modbus_answer_without_its_request_is_not_guessed_at(typed: Typed) -> None:
    answer = PYLONTECH_MODBUS.partition(",")[2]
    done = typed("decode", "--protocol", "pylontech_modbus", "--hex", answer)
    assert done.code in (3, 4)
    assert done.out == ""
    assert "request" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--protocol", "jbd_uart"),
        ("--protocol", "jbd_uart", "--hex", "DD0"),
        ("--protocol", "jbd_uart", "--hex", "zz"),
        ("--protocol", "nonsense", "--hex", "DD"),
        ("--hex", "DD"),
        ("--protocol", "leaf", "--hex", "FFFFFFFFF#00"),
    ],
)
def test_decode_typed_wrongly_is_usage(
    arguments: tuple[str, ...], typed: Typed
) -> None:
    done = typed("decode", *arguments)
    assert done.code == 2
    assert "Traceback" not in done.err


def test_devices_lists_and_probes(typed: Typed, jbd: Running) -> None:
    listed = typed("devices", jbd.channel, "--json")
    assert listed.code == 0
    assert [(r["channel"], r["device"]) for r in listed.rows] == [(jbd.channel, None)]
    assert jbd.received == b""
    probed = typed(
        "devices", jbd.channel, "--probe", "--protocol", "jbd_uart,daly_uart", "--json"
    )
    assert probed.code == 0
    assert [r["device"] for r in probed.rows] == ["jbd_uart"]
    assert jbd.writes == ()
    assert typed("devices", jbd.channel, "--probe", "--protocol", "x").code == 2


def test_a_channel_that_is_not_there(typed: Typed) -> None:
    for verb in (("devices", "--probe"), ("read",), ("clear-faults",)):
        channel = "/dev/ttyNOT0"
        target = channel if verb[0] == "devices" else f"leaf@slcan:{channel}"
        more = ["--allow-write", "clear_fault_codes"] * (verb[0] == "clear-faults")
        done = typed(verb[0], target, *verb[1:], *more)
        assert done.code == 4, done.err
        assert channel in done.err
        assert "Traceback" not in done.err


def test_read(typed: Typed, jbd: Running) -> None:
    target = f"jbd_uart@{jbd.channel}"
    done = typed("read", target, "--json")
    assert done.code == 0
    (row,) = done.rows
    assert len(row["values"]["cell_voltage_v"]) == 4
    assert row["raw"] and row["n_rejected"] == row["n_timeouts"] == row["n_lost"] == 0
    shown = typed("read", target)
    assert "cell_voltage_v" in shown.out
    assert jbd.writes == ()


@pytest.mark.parametrize(
    "target", ["jbd_uart", "@/dev/x", "nonsense@/dev/x", "jbd_uart@/dev/x?colour=red"]
)
def test_a_wrong_target_is_usage(target: str, typed: Typed) -> None:
    for verb in ("read", "clear-faults"):
        assert typed(verb, target).code == 2


@pytest.mark.parametrize("timeout", ["nan", "inf", "0", "-1"])
def test_a_timeout_that_is_none_is_usage(timeout: str, typed: Typed) -> None:
    done = typed("read", "jbd_uart@/dev/ttyNOT0", "--timeout", timeout)
    assert done.code == 2
    assert "--timeout" in done.err


def test_read_of_a_silent_device_says_what_to_look_at(typed: Typed) -> None:
    with running("zoe_gen1") as device:
        done = typed("read", f"zoe_gen1@{device.channel}", "--timeout", "0.5", "--json")
        assert done.code == 4
        assert done.rows == []
        assert "--wake" in done.err
        assert device.writes == ()


def test_record_watch_verify_grade(typed: Typed, jbd: Running) -> None:
    file = rig(f"jbd_uart@{jbd.channel}", "cell_voltage_max_v = 4.3")
    done = typed(
        "record", file, "-o", "a.h5", "--unit", "u1", "--operator", "ana",
        "--duration", "1", "--plain", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    (row,) = done.rows
    assert row["units"] == ["u1"]
    assert row["simulated"] is True
    assert row["n_lost"] == 0 and row["n_samples"] > 0 and row["alarms"] == []
    assert "does not stop the cycler" in done.err
    assert Path("a.h5").exists() and not Path("a.h5.journal").exists()
    assert jbd.writes == ()

    watched = typed("watch", "a.h5", "--no-follow", "--json")
    assert watched.code == 0
    assert {r["device"] for r in watched.rows} == {"pack"}
    assert any("cell_voltage_v" in r["values"] for r in watched.rows)

    verified = typed("verify", "a.h5", "--json")
    assert verified.code == 0
    assert verified.rows[0]["integrity"] == "intact"
    bad = bytearray(Path("a.h5").read_bytes())
    bad[len(bad) // 2] ^= 0x10
    Path("b.h5").write_bytes(bad)
    assert typed("verify", "b.h5", "--json").code == 3

    graded = typed("grade", "a.h5", "--json")
    (unit,) = graded.rows
    assert unit["unit"] == "u1"
    assert unit["simulated"] is True
    assert unit["status"] in ("graded", "refused")
    assert unit["clearance"]["cleared"] is False
    assert graded.code == (0 if unit["status"] == "graded" else 5)

    again = typed("record", file, "-o", "a.h5", "--unit", "u1", "--duration", "1")
    assert again.code == 3  # what was recorded is never written over


def test_recover_where_nothing_can_be_written(typed: Typed, jbd: Running) -> None:
    file = rig(f"jbd_uart@{jbd.channel}", "cell_voltage_max_v = 4.3")
    with started("record", file, "-o", "a.h5", "--unit", "u1", "--plain") as process:
        end = time.monotonic() + 20
        while jbd.received.count(b"\xdd\xa5") < 6 and time.monotonic() < end:
            time.sleep(0.02)
        process.kill()
    for name, code in (("gone/a.h5", 3), ("a.txt", 2)):
        done = typed("recover", "a.h5.journal", "-o", name)
        assert done.code == code
        assert name in done.err
    assert Path("a.h5.journal").exists()
    assert typed("recover", "a.h5.journal", "-o", "a.h5", "--json").rows[0]["n_frames"]


def test_an_alarm_is_exit_6_and_is_told_at_once(typed: Typed, jbd: Running) -> None:
    file = rig(f"jbd_uart@{jbd.channel}", "cell_voltage_max_v = 2.0")
    done = typed(
        "record", file, "-o", "a.h5", "--unit", "u1", "--duration", "0.5", "--json"
    )
    assert done.code == 6
    assert done.rows[0]["alarms"]
    assert "ALARM" in done.err
    assert "does not stop the cycler" in done.err


def test_record_without_limits_is_refused(typed: Typed, jbd: Running) -> None:
    file = rig(f"jbd_uart@{jbd.channel}", "")
    done = typed("record", file, "-o", "a.h5", "--unit", "u1", "--duration", "0.3")
    assert done.code in (2, 3)
    assert "--no-limits" in done.err
    assert jbd.received == b""
    assert list(Path().glob("a.h5*")) == []
    allowed = typed(
        "record", file, "-o", "a.h5", "--unit", "u1", "--duration", "0.3", "--no-limits"
    )
    assert allowed.code == 0


@pytest.mark.parametrize(
    "units",
    [
        ("a=X", "b=X"),
        ("a=X",),
        ("a=X", "b="),
        ("a=X", "b=Y", "c=Z"),
        ("a=X", "a=Y"),
        ("X",),
        ("X", "Y"),
        (),
    ],
)
def test_unit_ids_that_do_not_fit_the_rig_are_refused(
    units: tuple[str, ...], typed: Typed, jbd: Running
) -> None:
    more = (
        'unit = "a"\n[[device]]\nname = "other"\n'
        f'target = "jbd_uart@{jbd.channel}"\nperiod_s = 0.2\nunit = "b"'
    )
    file = rig(f"jbd_uart@{jbd.channel}", "cell_voltage_max_v = 4.3", more=more)
    given = [part for unit in units for part in ("--unit", unit)]
    done = typed("record", file, "-o", "a.h5", *given, "--duration", "0.3")
    assert done.code in (2, 3)
    assert "Traceback" not in done.err
    assert jbd.received == b""
    assert list(Path().glob("a.h5*")) == []


def test_clear_faults_sends_nothing_unless_it_is_named(typed: Typed) -> None:
    with running("leaf", faults=["fault_codes"], clock=lambda: 0.0) as device:
        target = f"leaf@{device.channel}"
        for named in ([], ["--allow-write", "x"], ["--allow-write", "state"]):
            done = typed("clear-faults", target, *named)
            assert done.code == 2
            assert "clear_fault_codes" in done.err
        assert device.received == b""
        assert list(Path().iterdir()) == []


def test_clear_faults_keeps_the_codes_first(typed: Typed) -> None:
    with running("leaf", faults=["fault_codes"], clock=lambda: 0.0) as device:
        clear = ("clear-faults", f"leaf@{device.channel}", "--allow-write",
                 "clear_fault_codes", "--json")  # fmt: skip
        Path("taken.json").write_text("evidence")
        refused = typed(*clear, "-o", "taken.json")
        assert refused.code == 3
        assert Path("taken.json").read_text() == "evidence"
        assert device.writes == ()

        done = typed(*clear, "-o", "kept.json")
        assert done.code == 0, done.err
        assert device.writes == (b"\x14\xff\xff\xff",)
        before, after = done.rows
        kept = json.loads(Path("kept.json").read_text())
        assert len(before["fault_codes"]) == 2
        assert kept["fault_codes"] == before["fault_codes"]
        assert kept["raw"]
        assert after["fault_codes"] == []


def test_a_device_without_a_clearing_request(typed: Typed, jbd: Running) -> None:
    done = typed("clear-faults", f"jbd_uart@{jbd.channel}", "--allow-write", "basic")
    assert done.code == 2
    assert jbd.received == b""


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 0)])
def test_simulate_serves_until_it_is_stopped(
    number: str, code: int, typed: Typed
) -> None:
    with started("simulate", "jbd_uart", "--seed", "1", "--json") as process:
        assert process.stdout is not None
        row = json.loads(process.stdout.readline())
        assert row["protocol"] == "jbd_uart"
        done = typed("read", f"jbd_uart@{row['channel']}", "--json")
        assert len(done.rows[0]["values"]["cell_voltage_v"]) == 4
        process.send_signal(getattr(signal, number))
        assert process.wait(10) == code
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_simulate_typed_wrongly(typed: Typed) -> None:
    for arguments in (["x"], ["jbd_uart", "--fault", "x"], ["jbd_uart", "--tcp", "-1"]):
        done = typed("simulate", *arguments)
        assert done.code == 2
        assert "Traceback" not in done.err


def test_ctrl_c_seals_what_was_recorded(typed: Typed, jbd: Running) -> None:
    file = rig(f"jbd_uart@{jbd.channel}", "cell_voltage_max_v = 4.3")
    with started(
        "record", file, "-o", "a.h5", "--unit", "u1", "--plain", "--json"
    ) as process:
        end = time.monotonic() + 20
        while jbd.received.count(b"\xdd\xa5") < 6 and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stdout is not None and process.stderr is not None
        (row,) = map(json.loads, process.stdout.read().splitlines())
        assert "Traceback" not in process.stderr.read()
    assert row["reason"] == "interrupted"
    assert row["n_samples"] > 0
    assert typed("verify", "a.h5").code == 0


def started(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "battlife", *map(str, arguments)],
        env={**os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
