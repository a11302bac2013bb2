"""Loads entry points on first use."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from battlife.errors import BattlifeError


@cache
def names(group: str) -> tuple[str, ...]:
    """Return the names registered under an entry-point group, sorted, loading none."""
    return tuple(sorted({point.name for point in entry_points(group=group)}))


@cache
def load_one(group: str, name: str) -> Any:
    """Return the object registered under one name of an entry-point group.

    Raises
    ------
    BattlifeError
        The plugin cannot be imported.
    KeyError
        Nothing has that name.
    """
    for point in entry_points(group=group, name=name):
        return _loaded(point)
    raise KeyError(name)


@cache
def load(group: str) -> dict[str, Any]:
    """Return the objects registered under an entry-point group, by name, sorted.

    Raises
    ------
    BattlifeError
        A plugin cannot be imported; the message names it and its distribution.
    """
    return {
        point.name: _loaded(point)
        for point in sorted(entry_points(group=group), key=lambda p: p.name)
    }


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        dist = point.dist.name if point.dist is not None else "unknown package"
        raise BattlifeError(
            f"plugin {point.name!r} of {dist} cannot be loaded: {error}",
            "uninstall or upgrade that package",
        ) from error
