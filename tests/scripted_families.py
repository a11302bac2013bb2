"""Makes the scripted device families known, as an installed plugin would be."""

from typing import Any

from battlife import _plugins
from scripted_rig import Scripted
from scripted_serial import ScriptedSerial

FAMILIES = {"scripted": Scripted, "scripted_serial": ScriptedSerial}


def names(group: str) -> tuple[str, ...]:
    return tuple(sorted(FAMILIES)) if group == "battlife.protocols" else ()


def load_one(group: str, name: str) -> Any:
    return FAMILIES[name]


def install() -> None:
    """Make them known for the rest of this process."""
    _plugins.names = names
    _plugins.load_one = load_one
