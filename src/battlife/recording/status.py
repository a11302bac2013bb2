"""A recording as it stands, for a screen."""

from collections.abc import Mapping
from dataclasses import dataclass

from battlife.model import Value
from battlife.recording.alarms import Alarm


@dataclass(frozen=True)
class Status:
    """A recording as it stands.

    Attributes
    ----------
    time_s : s since its start
    values : latest values, by device
    heard_s : when a device last said something right, s since the start
    n_frames : so far; n_acknowledged of them are safe
    n_lost, n_rejected, n_timeouts : what went wrong, counted
    acknowledged_age_s : s since everything was safe
    away : channels that are gone now
    alarms : those that last
    n_alarms : begun so far
    simulated : True if a simulated device was heard
    """

    time_s: float
    values: Mapping[str, Mapping[str, Value]]
    heard_s: Mapping[str, float]
    n_frames: int
    n_acknowledged: int
    n_lost: int
    n_rejected: int
    n_timeouts: int
    acknowledged_age_s: float
    away: tuple[str, ...]
    alarms: tuple[Alarm, ...]
    n_alarms: int
    simulated: bool
