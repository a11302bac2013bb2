"""The verbs that talk to devices, as an operator types them, on compiled firmware.

The emulated boards are on pseudo-terminals at real time; nothing of the way between the
command line and the chips is replaced.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bus_device import on_bus
from cell_bridge import calibrated, flashed, ntc_code

from battlife.archive import open_archive
from battlife.cli import run


class Done(NamedTuple):
    code: int
    rows: list[dict[str, Any]]
    err: str


RECORD = ("record", "-o", "a.h5", "--unit", "u1")
Typed = Callable[..., Done]
Start = Callable[[], Any]


@pytest.fixture
def typed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Typed:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BATTLIFE_HOME", str(tmp_path / "home"))

    def typed_words(*words: object) -> Done:
        before = signal.getsignal(signal.SIGTERM)
        try:
            code = run([*map(str, words), "--json"])
        finally:
            signal.signal(signal.SIGTERM, before)
        said = capsys.readouterr()
        return Done(code, [json.loads(row) for row in said.out.splitlines()], said.err)

    return typed_words


@pytest.fixture
def cell_rig(built: Path, pty_rig: Callable[..., Any], tmp_path: Path) -> Start:
    def begin() -> Any:
        elf = built / "m328p" / "cell_bridge.elf"
        rig = pty_rig(flashed(elf, tmp_path, calibrated()))
        for cell in range(12):
            rig.command(f"afe cell 0 {cell} {35_000 + 100 * cell}")
        rig.command(f"analog 2 {ntc_code(40)}")
        return rig

    return begin


def rig_file(target: str, *limits: str, period_s: float = 0.2) -> Path:
    path = Path("rig.toml")
    table = "\n".join(["[limits]", *limits]) if limits else ""
    path.write_text(
        f'[rig]\nname = "emulated"\n[[device]]\nname = "pack"\ntarget = "{target}"\n'
        f"period_s = {period_s}\n{table}\n"
    )
    return path


def linked(rig: Any) -> Path:
    """Return another name of a port: its own may go to the next that is opened."""
    name = Path("port").absolute()
    name.symlink_to(rig.port)
    return name


def recording() -> None:
    """Wait until a.h5 is being recorded, and then some readings."""
    end = time.monotonic() + 60
    while not Path("a.h5.journal").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(1.0)


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a verb as a process of its own, and end it whatever happens."""
    with subprocess.Popen(
        [sys.executable, "-m", "battlife", *words], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_bridge_is_simulated_found_read_and_recorded(typed: Typed) -> None:
    with started("simulate", "bridge", "--json") as simulated:
        assert simulated.stdout is not None
        channel = json.loads(simulated.stdout.readline())["channel"]
        found = typed("devices", channel, "--probe", "--protocol", "bridge,jk_uart")
        assert found.code == 0, found.err
        assert [row["device"] for row in found.rows] == ["bridge"], found.err
        assert found.rows[0]["options"] == {"baud": "1000000"}
        done = typed("read", f"bridge@{channel}")
        assert done.code == 0, done.err
        values = done.rows[0]["values"]
        assert len(values["cell_voltage_v"]) == 12
        assert values["voltage_v"] == pytest.approx(sum(values["cell_voltage_v"]))
        file = rig_file(f"bridge@{channel}", "cell_voltage_max_v = 4.5")
        made = typed(*RECORD, file, "--duration", "2", "--plain")
        simulated.terminate()
        assert simulated.wait(60) == 0
    assert made.code == 0, made.err
    (row,) = made.rows
    assert (row["simulated"], row["n_rejected"]) == (True, 0)
    assert row["n_samples"] >= 1
    assert typed("verify", "a.h5").rows[0]["integrity"] == "intact"


def test_a_bridge_is_read_with_its_true_values(cell_rig: Start, typed: Typed) -> None:
    rig = cell_rig()
    done = typed("read", f"bridge@{rig.port}")
    assert done.code == 0, done.err
    (row,) = done.rows
    cells = [3.5 + 0.01 * cell for cell in range(12)]
    assert row["values"]["cell_voltage_v"] == pytest.approx(cells)
    assert row["values"]["temperature_degc"] == pytest.approx([25, 40, 25, 25], abs=0.4)
    assert row["values"]["contactors_closed"] is False
    assert (row["n_lost"], row["n_rejected"], row["n_timeouts"]) == (0, 0, 0)


def test_a_leaf_is_read_and_found_through_the_bridge(
    pty_rig: Callable[..., Any], typed: Typed
) -> None:
    rig = pty_rig("slcan_bridge")
    channel = f"slcan:{rig.port}"
    with on_bus(rig, "leaf", "aze0") as pack:
        found = typed("devices", channel, "--probe", "--protocol", "leaf,lv_can")
        done = typed("read", f"leaf@{channel}?bitrate=500000&tty_baud=1000000")
        truth = pack.truth()
    assert [row["protocol"] for row in found.rows] == ["leaf"], found.err
    assert found.rows[0]["options"]["bitrate"] == "500000"
    assert done.code == 0, done.err
    (row,) = done.rows
    assert (row["n_lost"], row["n_rejected"], row["n_timeouts"]) == (0, 0, 0)
    read = row["values"]["cell_voltage_v"]
    assert len(read) == 96
    assert read == pytest.approx(truth["cell_voltage_v"], abs=0.02)


@pytest.mark.parametrize("rate", [500_000, 1_000_000])
def test_a_recorded_leaf_knows_of_lost_frames(
    pty_rig: Callable[..., Any], typed: Typed, rate: int
) -> None:
    """The bus is full for a second: at 1 Mbit/s the serial line cannot carry it."""
    rig = pty_rig("slcan_bridge")
    rig.command(f"can bitrate {rate}")
    target = f"leaf@slcan:{rig.port}?bitrate={rate}&tty_baud=1000000"
    file = rig_file(target, "cell_voltage_max_v = 4.5", period_s=1.0)

    def load() -> None:
        recording()
        rig.command(f"can load {rate // 125} 0 7E0 8")

    loading = threading.Thread(target=load)
    with on_bus(rig, "leaf", "aze0"):
        loading.start()
        made = typed(*RECORD, file, "--duration", "5", "--plain")
        loading.join()
    assert made.code == 0, made.err
    (row,) = made.rows
    words = (word.split("=") for word in rig.command("can chip").split())
    n_lost = int(dict(words)["lost"])
    assert (row["n_lost"] > 0) == (n_lost > 0) == (rate == 1_000_000)
    assert row["n_samples"] >= 1
    with open_archive(Path("a.h5")) as archive:
        trace = archive.trace("u1")
    cells = trace.columns["cell_voltage_v"]
    assert cells.shape[0] == 96
    assert ((cells > 3.0) & (cells < 4.3) | (cells != cells)).all()


def test_unplugged_while_recording(cell_rig: Start, typed: Typed) -> None:
    """The gap is in the record, silence is an alarm, and what came before is kept."""
    rig = cell_rig()
    name = linked(rig)
    file = rig_file(f"bridge@{name}", "silence_s = 1.0")

    def unplug() -> None:
        recording()
        name.unlink()
        rig.unplug()

    threading.Thread(target=unplug).start()
    made = typed(*RECORD, file, "--duration", "4.5", "--plain")
    assert made.code == 6, made.err
    (row,) = made.rows
    assert "silence" in {alarm["code"] for alarm in row["alarms"]}
    assert any("went away" in warning for warning in row["warnings"]), row["warnings"]
    assert row["n_samples"] >= 5
    assert typed("verify", "a.h5").rows[0]["integrity"] == "intact"


def test_plugged_in_again_while_recording(cell_rig: Start, typed: Typed) -> None:
    """Another rig behind the same name: the recording goes on with it."""
    first = cell_rig()
    name = linked(first)
    file = rig_file(f"bridge@{name}", "cell_voltage_max_v = 4.5")
    second: list[Any] = []

    def swap() -> None:
        recording()
        name.unlink()
        first.unplug()
        time.sleep(1.0)
        second.append(cell_rig())
        second[0].command("afe all 39000")
        name.symlink_to(second[0].port)

    threading.Thread(target=swap).start()
    made = typed(*RECORD, file, "--duration", "7", "--plain")
    assert made.code == 0, made.err
    assert made.rows[0]["n_lost"] == 0
    with open_archive(Path("a.h5")) as archive:
        trace = archive.trace("u1")
    cells = trace.columns["cell_voltage_v"][0]
    assert (cells[0], cells[-1]) == pytest.approx((3.5, 3.9))
    assert max(b - a for a, b in pairwise(trace.time_s)) > 0.9  # nothing is made up
    assert any("went away" in text for text in made.rows[0]["warnings"])


def levels(rig: Any) -> list[int]:
    return [int(word.split(":")[1]) for word in rig.command("coil log").split()]


ARM = ("--wake", "--allow-write", "arm")


def coil(rig: Any, level: int) -> None:
    """Wait for the contactor line, however slow the machine."""
    end = time.monotonic() + 60
    while not rig.command("contactor").startswith(f"coil={level}"):
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do something beside a recording, then end that as `kill` does."""

    def worked() -> None:
        work()
        time.sleep(0.5)  # a reading after it
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=worked)
    thread.start()
    yield
    thread.join()


def test_recorded_with_a_closed_contactor(cell_rig: Start, typed: Typed) -> None:
    rig = cell_rig()
    file = rig_file(f"bridge@{rig.port}", "cell_voltage_max_v = 4.3")
    words = (
        "record",
        file,
        "-o",
        "a.h5",
        "--unit",
        "u1",
        "--plain",
        "--duration",
        "60",
    )
    for more in (("--allow-write", "arm"), ("--wake", "--allow-write", "disarm")):
        assert typed(*words, *more).code == 2
    assert rig.command("coil log") == ""
    with meanwhile(lambda: coil(rig, 1)):
        made = typed(*words, *ARM)
    assert made.code == 0, made.err
    state, row = made.rows
    assert state["limits"]["bridge_over_voltage_v"] == 4.2
    assert levels(rig) == [1, 0]
    assert rig.command("contactor") == "coil=0 contact=0"
    assert row["n_rejected"] == 0
    with open_archive(Path("a.h5")) as archive:
        closed = archive.trace("u1").columns["contactors_closed"]
    assert (closed[0], max(closed), closed[-1]) == (0, 1, 0)


def test_opened_by_the_bridge_while_recording(cell_rig: Start, typed: Typed) -> None:
    """It is said, it is not armed again, and the recording goes on."""
    rig = cell_rig()
    file = rig_file(f"bridge@{rig.port}", "cell_voltage_max_v = 4.9")
    words = (
        "record",
        file,
        "-o",
        "a.h5",
        "--unit",
        "u1",
        "--plain",
        "--duration",
        "60",
    )

    def disturb() -> None:
        coil(rig, 1)
        time.sleep(0.5)
        rig.command("afe cell 0 3 42500")
        coil(rig, 0)
        rig.command("afe cell 0 3 36000")

    with meanwhile(disturb):
        made = typed(*words, *ARM)
    assert made.code == 6, made.err
    row = made.rows[-1]
    said = "the bridge opened its contactor by itself: over_voltage"
    assert any(text.startswith(said) for text in row["warnings"])
    assert row["alarms"] == []
    assert levels(rig) == [1, 0]
    again = typed("record", file, "-o", "b.h5", "--unit", "u1", "--plain", *ARM)
    assert again.code == 4  # latched: nothing is armed, nothing recorded
    assert "over_voltage" in again.err and not Path("b.h5").exists()
    assert levels(rig) == []


def test_an_alarm_of_the_rig_opens_it(cell_rig: Start, typed: Typed) -> None:
    """Its limit is closer than that of the bridge; the recording goes on."""
    rig = cell_rig()
    file = rig_file(f"bridge@{rig.port}", "cell_voltage_max_v = 3.9")
    words = (
        "record",
        file,
        "-o",
        "a.h5",
        "--unit",
        "u1",
        "--plain",
        "--duration",
        "60",
    )

    def disturb() -> None:
        coil(rig, 1)
        time.sleep(0.5)
        rig.command("afe cell 0 3 39500")
        coil(rig, 0)

    with meanwhile(disturb):
        made = typed(*words, *ARM)
    assert made.code == 6, made.err
    row = made.rows[-1]
    assert {alarm["code"] for alarm in row["alarms"]} == {"cell_over_voltage"}
    assert levels(rig) == [1, 0]
    assert not any("by itself" in text for text in row["warnings"])
    with open_archive(Path("a.h5")) as archive:
        trace = archive.trace("u1")
    assert trace.columns["contactors_closed"][-1] == 0
    assert trace.columns["cell_voltage_v"][3, -1] == pytest.approx(3.95)


def test_a_rig_without_a_bridge_arms_nothing(typed: Typed) -> None:
    file = rig_file("jbd_uart@/dev/ttyNOT0", "cell_voltage_max_v = 4.3")
    refused = typed("record", file, "-o", "a.h5", "--unit", "u1", *ARM)
    assert refused.code == 2
    assert "no device with a contactor" in refused.err


def test_ctrl_c_ends_a_recording_with_an_open_contactor(
    cell_rig: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rig = cell_rig()
    file = tmp_path / rig_file(f"bridge@{rig.port}", "cell_voltage_max_v = 4.3")
    words = ["record", str(file), "-o", str(tmp_path / "c.h5"), "--unit", "u1", *ARM]
    with started(*words) as running:
        coil(rig, 1)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode == 130
    assert levels(rig) == [1, 0]
    found = rig.command("contactor")
    assert found.startswith("coil=0")
