"""Plugins are found; battlife's own cheaply, and no other package replaces them."""

from importlib.metadata import EntryPoint, entry_points

import pytest

from battlife import _plugins, wire
from battlife.errors import BattlifeError, InputError
from battlife.wire.jbd import JbdUart


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    for found in (_plugins.names, _plugins.load_one, _plugins.load):
        found.cache_clear()


def other_package(monkeypatch, *points):
    real = _plugins._points
    for found in (_plugins.names, _plugins.load_one, _plugins.load):
        found.cache_clear()

    def everything(group):
        return [*(p for p in points if p.group == group), *real(group)]

    monkeypatch.setattr(_plugins, "_points", everything)


def test_own_points_are_those_of_the_installed_package():
    for group in ("battlife.protocols", "battlife.readers", "battlife.frame_readers"):
        installed = {
            point.name: point.value
            for point in entry_points(group=group)
            if point.dist is not None and point.dist.name == "battlife"
        }
        assert _plugins._own()[group] == installed
        assert installed


def test_a_protocol_of_another_package_is_found(monkeypatch):
    point = EntryPoint("mine", "battlife.wire.jbd:JbdUart", wire.GROUP)
    other_package(monkeypatch, point)
    assert "mine" in wire.names()
    assert isinstance(wire.protocol("mine"), JbdUart)


def test_another_package_does_not_replace_a_protocol(monkeypatch):
    point = EntryPoint("jbd_uart", "battlife.wire.leaf:Leaf", wire.GROUP)
    other_package(monkeypatch, point)
    assert isinstance(wire.protocol("jbd_uart"), JbdUart)


def test_an_own_point_loads_where_the_metadata_is_not_found(monkeypatch):
    other_package(monkeypatch)
    monkeypatch.setattr(_plugins, "_own", dict)
    assert _plugins.load_one(wire.GROUP, "jbd_uart") is JbdUart


def test_a_plugin_that_cannot_be_loaded_is_named(monkeypatch):
    other_package(monkeypatch, EntryPoint("bad", "battlife.nowhere:X", wire.GROUP))
    with pytest.raises(BattlifeError, match="'bad'"):
        wire.protocol("bad")
    own = {wire.GROUP: {"jbd_uart": "battlife.nowhere:X"}}
    monkeypatch.setattr(_plugins, "_own", lambda: own)
    with pytest.raises(BattlifeError, match="'jbd_uart' of battlife"):
        wire.protocol("jbd_uart")


def test_an_unknown_protocol_says_which_are_known():
    with pytest.raises(InputError, match="no protocol") as told:
        wire.protocol("nonsense")
    assert "jbd_uart" in (told.value.hint or "")


def test_metadata_is_taken_apart():
    lines = ["# x", "[a]", "one = m:A", "", "[b.c]", "two=n:B", "; y = z"]
    assert _plugins._parsed(lines) == {"a": {"one": "m:A"}, "b.c": {"two": "n:B"}}
