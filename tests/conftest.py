"""Options and isolation of the whole suite."""

from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rig", default=None, help="port of a real rig")


@pytest.fixture(autouse=True, scope="session")
def _own_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the keys of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATTLIFE_HOME", str(tmp_path_factory.mktemp("battlife-home")))
        yield
