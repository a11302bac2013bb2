"""What a host that keeps a contactor closed makes of missing and damaged answers."""

import dataclasses
from collections.abc import Iterable
from threading import Event
from typing import Any, cast

import pytest

from battlife.drivers.contactor import Opened, _kept, _opened
from battlife.drivers.session import Session, Snapshot
from battlife.drivers.target import parse_target
from battlife.errors import HardwareError, ProtocolError, RigTimeoutError

CLOSED = Snapshot("", {"bridge_state": "closed"}, {}, (), (), ())
TRIPPED = dataclasses.replace(
    CLOSED, values={"bridge_state": "tripped", "fault_codes": ("over_voltage",)}
)
MISSED = RigTimeoutError("no answer")
DAMAGED = ProtocolError("it is no COBS frame")


class Scripted:
    """A session whose readings are written down; each one takes `reading_s`."""

    target = parse_target("bridge@/dev/ttyUSB0")

    def __init__(self, script: Iterable[Any], reading_s: float = 0.01) -> None:
        self._script, self._reading_s, self._now_s = iter(script), reading_s, 50.0

    def clock(self) -> float:
        return self._now_s

    def rest(self, seconds: float) -> None:
        self._now_s += seconds

    def ask(self, request: object) -> None:
        self.read()

    def read(self) -> Snapshot:
        self._now_s += self._reading_s
        item = next(self._script)
        if isinstance(item, Exception):
            raise item
        return cast(Snapshot, item)


def kept(session: Scripted, period_s: float, duration_s: float | None = None) -> Any:
    return _kept(cast(Session, session), Event(), duration_s, period_s, None)


@pytest.mark.parametrize("period_s", [0.2, 1.0, 10.0])
@pytest.mark.parametrize("miss", [MISSED, DAMAGED])
def test_one_miss_opens_nothing_however_rare_the_readings(
    miss: Exception, period_s: float
) -> None:
    session = Scripted([CLOSED, miss, CLOSED, miss, miss, CLOSED, TRIPPED])
    assert kept(session, period_s) == Opened(True, ("over_voltage",))


@pytest.mark.parametrize("period_s", [0.2, 1.0, 10.0])
def test_a_second_without_an_answer_ends_it(period_s: float) -> None:
    session = Scripted([CLOSED, *[MISSED] * 100], reading_s=0.25)
    with pytest.raises(RigTimeoutError):
        kept(session, period_s)
    assert session.clock() - 50.0 < period_s + 2.0


def test_the_duration_ends_it_between_two_misses() -> None:
    session = Scripted([CLOSED, *[MISSED] * 100], reading_s=0.25)
    assert kept(session, 1.0, duration_s=1.6) is None


OPEN = dataclasses.replace(CLOSED, values={"contactors_closed": False})
SHUT = dataclasses.replace(CLOSED, values={"contactors_closed": True})


@pytest.mark.parametrize(
    "script", [[MISSED, OPEN, OPEN], [OPEN, DAMAGED, MISSED, OPEN]]
)
def test_disarm_is_said_again_on_a_disturbed_line(script: list[Any]) -> None:
    assert _opened(cast(Session, Scripted(script))) == Opened(False)


def test_a_line_that_stays_silent_after_disarm_is_told_as_maybe_closed() -> None:
    session = Scripted([OPEN, *[MISSED] * 100], reading_s=0.25)
    with pytest.raises(HardwareError, match="may be closed"):
        _opened(cast(Session, session))


def test_a_contactor_that_stays_closed_is_told_as_welded() -> None:
    session = Scripted([OPEN, *[SHUT, MISSED] * 50], reading_s=0.1)
    with pytest.raises(HardwareError, match="CLOSED after .disarm."):
        _opened(cast(Session, session))
