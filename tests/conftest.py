"""Options and isolation of the whole suite."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rig", default=None, help="port of a real rig")


@pytest.fixture(autouse=True)
def _own_keys(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test reads or writes the keys of the person who runs it."""
    folder: Path = tmp_path_factory.getbasetemp() / "battlife-home"
    monkeypatch.setenv("BATTLIFE_HOME", str(folder))
