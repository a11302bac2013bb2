"""The live view draws what a recording says, and stops it."""

import asyncio
from threading import Event

from battlife.cli.live import LiveView, cell_bars, devices_table
from battlife.recording import Status

NAN = float("nan")


def status(time_s: float = 3.0) -> Status:
    return Status(
        time_s=time_s,
        values={"pack": {"voltage_v": 13.2, "cell_voltage_v": (3.3, 3.2, NAN, 3.4)}},
        heard_s={"pack": 2.9},
        n_frames=10,
        n_acknowledged=8,
        n_lost=1,
        n_rejected=0,
        n_timeouts=0,
        acknowledged_age_s=0.1,
        away=("/dev/ttyUSB0",),
        alarms=(),
        n_alarms=0,
        simulated=True,
    )


def test_cells_are_bars_and_a_missing_one_says_so():
    lines = cell_bars(status().values["pack"]).plain.splitlines()
    assert lines[0] == "min 3.200 V  max 3.400 V  spread 200 mV"
    blocks = [line.count("█") for line in lines[1:]]
    assert blocks[1] == 1 and blocks[3] == 30 and 1 < blocks[0] < 30
    assert lines[3].split() == ["3", "missing"]


def test_a_silent_device_is_red():
    table = devices_table(status(60.0))
    assert "silent for 57 s" in str(next(iter(table.columns[0].cells)))


def test_the_view_shows_the_recording_and_q_stops_it():
    stop = Event()
    shown = Event()

    def run(on_update):
        on_update(status())
        shown.set()
        assert stop.wait(20)
        return "recorded"

    async def drive() -> None:
        view = LiveView(run, stop, "bench")
        async with view.run_test() as pilot:
            while not shown.is_set():
                await pilot.pause(0.02)
            text = str(view.query_one("#state").render())
            assert "8 of 10 frames safe" in text and "SIMULATED" in text
            assert "AWAY: /dev/ttyUSB0" in text
            await pilot.press("q")
            while view.recorded is None:
                await pilot.pause(0.02)
        assert view.recorded == "recorded" and view.failed is None

    asyncio.run(drive())
