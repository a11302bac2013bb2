"""What a journal says of its recording before anything is recorded."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from battlife import __version__
from battlife.pipeline.journals import wire_facts
from battlife.recording.lines import LineDevice
from battlife.recording.rig import Rig

VIRTUAL: Final = re.compile(
    r"virtual:|udp_multicast:|socketcan:vcan|loop://|.*/dev/pts/"
)
"""Channels that no hardware is behind."""


def journal_header(
    rig: Rig,
    devices: Sequence[LineDevice],
    ids: Mapping[str, str],
    operator: str,
    wake: bool,
    start_s: float,
    start_utc_ns: int,
) -> dict[str, object]:
    """Return the header of a journal, as docs/formats.md specifies it.

    Parameters
    ----------
    rig, devices : what is recorded
    ids : of the units, by device name
    operator : who records
    wake : whether keep-alive frames are sent
    start_s, start_utc_ns : the start on the monotonic clock in s, and in ns of UTC
    """
    channels = list(dict.fromkeys(d.channel for d in devices))
    return {
        "schema": 1,
        "software": __version__,
        "rig": rig.name,
        "calibration": rig.calibration,
        "operator": operator,
        "wake": wake,
        "start_monotonic_ns": int(start_s * 1e9),
        "start_utc_ns": start_utc_ns,
        "limits": {k: v for k, v in vars(rig.limits).items() if v is not None},
        "on_alarm": list(rig.on_alarm),
        "simulated": any(VIRTUAL.match(c) for c in channels),
        "channels": channels,
        "devices": [
            {
                "name": d.device.name,
                "target": d.device.target,
                "unit_id": ids[d.device.name],
                "period_s": d.device.period_s,
                "channel": d.channel,
                **wire_facts(d.wire),
            }
            for d in devices
        ],
    }
