"""The scripted device family is known while these tests run."""

import pytest

from battlife import wire
from scripted_rig import scripted_protocol


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "protocol", scripted_protocol)
