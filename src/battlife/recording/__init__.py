"""Runs drivers by the schedules of their protocols and keeps the frames safe."""

from battlife.recording.alarms import Alarm, as_facts
from battlife.recording.recorder import record
from battlife.recording.recovering import recover
from battlife.recording.rig import Limits, Rig, RigDevice, read_rig
from battlife.recording.sealing import Recorded
from battlife.recording.status import Status
from battlife.recording.watching import watch

__all__ = [
    "Alarm",
    "Limits",
    "Recorded",
    "Rig",
    "RigDevice",
    "Status",
    "as_facts",
    "read_rig",
    "record",
    "recover",
    "watch",
]
