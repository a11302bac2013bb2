"""The program that an alarm starts: without a shell, never waited for."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from threading import Event, Thread
from time import monotonic
from typing import Final

from battlife.errors import InputError
from battlife.recording.alarms import Alarm

MAX_RUNNING: Final = 16
"""Programs at a time; an alarm beyond it is recorded and starts none."""
POLL_S: Final = 0.05
GRACE_S: Final = 5.0
"""What a program gets to finish after the end of the recording."""


class Programs:
    """Starts a program per alarm and tells what became of it.

    Parameters
    ----------
    command : program and arguments, () for none
    tell : takes the facts of an event; called from a thread of its own

    Raises
    ------
    InputError
        There is no such program.
    """

    def __init__(
        self, command: Sequence[str], tell: Callable[[Mapping[str, object]], None]
    ) -> None:
        self._command = list(command)
        self._tell = tell
        self._running: list[tuple[subprocess.Popen[bytes], str]] = []
        self._waiting: list[Alarm] = []
        self._wanted = Event()
        self._stop = Event()
        self._thread: Thread | None = None
        if not command:
            return
        if shutil.which(command[0]) is None:
            raise InputError(
                f"[on_alarm] run: there is no program {command[0]!r}",
                "give its full path",
            )
        self._thread = Thread(target=self._work, name="on-alarm", daemon=True)
        self._thread.start()

    def start(self, alarm: Alarm) -> None:
        """Start the program for an alarm; returns at once."""
        if self._thread is not None:
            self._waiting.append(alarm)
            self._wanted.set()

    def close(self) -> None:
        """Wait a little for what runs, then kill it."""
        if self._thread is not None:
            self._stop.set()
            self._wanted.set()
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while not self._stop.is_set():
            self._wanted.wait(POLL_S if self._running else None)
            self._wanted.clear()
            self._start_waiting()
            self._reap()
        self._start_waiting()
        deadline = monotonic() + GRACE_S
        while self._running and monotonic() < deadline:
            self._reap()
            if self._running:
                self._wanted.wait(POLL_S)
        for process, _ in self._running:
            process.kill()
            process.wait()
        self._reap()

    def _start_waiting(self) -> None:
        while self._waiting:
            alarm = self._waiting.pop(0)
            facts = {"event": "on_alarm", "message": alarm.message}
            if len(self._running) >= MAX_RUNNING:
                self._tell({**facts, "error": f"{MAX_RUNNING} are running already"})
                continue
            environment = {
                **os.environ,
                "BATTLIFE_ALARM": alarm.code,
                "BATTLIFE_ALARM_DEVICE": alarm.device,
                "BATTLIFE_ALARM_MESSAGE": alarm.message,
            }
            try:
                process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                )
            except (OSError, ValueError) as error:
                self._tell({**facts, "error": str(error)})
            else:
                self._running.append((process, alarm.message))

    def _reap(self) -> None:
        for pair in list(self._running):
            process, message = pair
            if (code := process.poll()) is not None:
                self._running.remove(pair)
                self._tell({"event": "on_alarm", "message": message, "exit": code})
