"""Loads entry points on first use.

battlife's own are read straight from the metadata it was installed with: looking
through those of every installed package costs a rig script tens of milliseconds.
"""

import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from battlife import __version__
from battlife.errors import BattlifeError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@cache
def names(group: str) -> tuple[str, ...]:
    """Return the names registered under an entry-point group, sorted, loading none."""
    return tuple(sorted({point.name for point in _points(group)}))


@cache
def load_one(group: str, name: str) -> Any:
    """Return the object registered under one name of an entry-point group.

    A name of battlife's own means its own object, whatever else is installed.

    Raises
    ------
    BattlifeError
        The plugin cannot be imported.
    KeyError
        Nothing has that name.
    """
    target = _own().get(group, {}).get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except Exception as error:
            raise _failed(name, "battlife", error) from error
    for point in _points(group):
        if point.name == name:
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
        for point in sorted(_points(group), key=lambda p: p.name)
    }


@cache
def _own() -> dict[str, dict[str, str]]:
    """Return battlife's own entry points by group and name, {} if not found."""
    for folder in sys.path:
        path = Path(folder, f"battlife-{__version__}.dist-info", "entry_points.txt")
        if path.is_file():
            return _parsed(path.read_text(encoding="utf-8").splitlines())
    return {}


def _parsed(lines: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the name = value pairs of an entry_points.txt by group."""
    groups: dict[str, dict[str, str]] = {}
    group: dict[str, str] = {}
    for line in map(str.strip, lines):
        if line.startswith("["):
            group = groups.setdefault(line.strip("[]"), {})
        elif "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            group[name.strip()] = value.strip()
    return groups


def _points(group: str) -> Iterable["EntryPoint"]:
    from importlib.metadata import entry_points

    return entry_points(group=group)


def _loaded(point: "EntryPoint") -> Any:
    try:
        return point.load()
    except Exception as error:
        dist = point.dist.name if point.dist is not None else "unknown package"
        raise _failed(point.name, dist, error) from error


def _failed(name: str, dist: str, error: Exception) -> BattlifeError:
    return BattlifeError(
        f"plugin {name!r} of {dist} cannot be loaded: {error}",
        "uninstall or upgrade that package",
    )
