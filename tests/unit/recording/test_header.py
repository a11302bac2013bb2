"""A journal carries what its protocols need, and trusts no header."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from battlife import wire
from battlife.errors import ArchiveError, InputError
from battlife.pipeline.journals import devices_of, wire_facts
from scripted_rig import Scripted


@dataclass(frozen=True)
class WithFile(Scripted):
    dbc: Path = Path()
    address: int = 1


def entry(**facts: Any) -> dict[str, Any]:
    device = {
        "name": "d0",
        "unit_id": "4711",
        "period_s": 1.0,
        "channel": "can0",
        "protocol": "scripted",
        "options": {},
        "files": {},
    }
    return {"devices": [{**device, **facts}]}


def test_a_dbc_file_travels_with_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "protocol", lambda name, **given: WithFile(**given))
    original = tmp_path / "pack.dbc"
    original.write_bytes(b'VERSION "1"')
    facts = json.loads(json.dumps(wire_facts(WithFile(original, 7))))
    original.unlink()
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (device,) = devices_of(entry(**facts), folder)
    assert isinstance(device.wire, WithFile)
    assert device.wire.address == 7
    assert device.wire.dbc.read_bytes() == b'VERSION "1"'
    assert device.wire.dbc.parent == folder


def test_a_name_in_a_header_is_never_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "protocol", lambda name, **given: Scripted())
    inside = tmp_path / "inside"
    inside.mkdir()
    hostile = entry(files={"../../x": "AAAA", "dbc": "AAAA"}, options={"dbc": "/etc/x"})
    devices_of(hostile, inside)
    assert [p.name for p in tmp_path.iterdir()] == ["inside"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
    ),
    max_leaves=5,
)


@given(key=st.sampled_from(sorted(entry()["devices"][0])), value=JSON)
def test_a_hostile_header_is_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    def protocol(name: str, **options: object) -> Scripted:
        if name != "scripted" or options:
            raise InputError("no such protocol")
        return Scripted()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "protocol", protocol)
        try:
            found = devices_of(entry(**{key: value}), tmp_path_factory.mktemp("f"))
        except InputError:
            return
    assert len(found) == 1


@pytest.mark.parametrize("header", [{}, {"devices": None}, {"devices": []}])
def test_a_header_without_devices_is_refused(
    tmp_path: Path, header: dict[str, Any]
) -> None:
    with pytest.raises(ArchiveError):
        devices_of(header, tmp_path)
