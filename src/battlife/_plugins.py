"""Loads entry points on first use."""

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from battlife.errors import BattlifeError


@cache
def load(group: str) -> dict[str, Any]:
    """Return the objects registered under an entry-point group, by name, sorted.

    Raises
    ------
    BattlifeError
        A plugin cannot be imported; the message names it and its distribution.
    """
    loaded: dict[str, Any] = {}
    for point in sorted(entry_points(group=group), key=lambda p: p.name):
        try:
            loaded[point.name] = point.load()
        except Exception as error:
            dist = point.dist.name if point.dist is not None else "unknown package"
            raise BattlifeError(
                f"plugin {point.name!r} of {dist} cannot be loaded: {error}",
                "uninstall or upgrade that package",
            ) from error
    return loaded
