"""The program of an alarm is started at once, never waited for, never left over."""

import sys
import time
from pathlib import Path
from threading import Event

import pytest

from battlife.errors import InputError
from battlife.recording import programs
from battlife.recording.alarms import Alarm
from battlife.recording.programs import Programs

ALARM = Alarm("over_temperature", "d0", "4711", "sensor 1", 61.0, 60.0, "degC", 1.0)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_exit_code_is_told() -> None:
    told: list[dict[str, object]] = []
    done = Event()

    def tell(facts: object) -> None:
        assert isinstance(facts, dict)
        told.append(facts)
        done.set()

    ran = Programs(python("raise SystemExit(3)"), tell)
    begun = time.monotonic()
    ran.start(ALARM)
    assert time.monotonic() - begun < 0.5
    assert done.wait(20)
    ran.close()
    assert [(t["event"], t["exit"]) for t in told] == [("on_alarm", 3)]


def test_what_hangs_is_killed_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "GRACE_S", 0.0)
    told: list[object] = []
    ran = Programs(
        python("import time; time.sleep(60)"), lambda facts: told.append(facts["exit"])
    )
    ran.start(ALARM)
    ran.close()
    assert told == [-9]


def test_an_alarm_just_before_the_end_still_starts_it(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    ran = Programs(python(f"open({str(mark)!r}, 'w').close()"), lambda facts: None)
    ran.start(ALARM)
    ran.close()
    assert mark.exists()


def test_more_than_can_run_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "MAX_RUNNING", 1)
    monkeypatch.setattr(programs, "GRACE_S", 0.0)
    told: list[dict[str, object]] = []
    ran = Programs(
        python("import time; time.sleep(60)"), lambda f: told.append(dict(f))
    )
    ran.start(ALARM)
    ran.start(ALARM)
    ran.close()
    assert sorted("error" in facts for facts in told) == [False, True]


def test_a_program_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="no program"):
        Programs(["no-such-program-here"], lambda facts: None)


def test_without_a_program_nothing_is_started() -> None:
    ran = Programs([], lambda facts: None)
    ran.start(ALARM)
    ran.close()
