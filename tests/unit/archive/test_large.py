"""An archive may exceed memory: columns mapped from files are written by chunk."""

import tracemalloc
from pathlib import Path

import numpy as np
import numpy.typing as npt

from battlife.archive import (
    ArchivedUnit,
    open_archive,
    verify_archive,
    write_archive,
)
from battlife.archive.keys import SigningKey
from battlife.model import Pack, Trace, trace_sha256

SAMPLES = 2_000_000
COLUMN_BYTES = 8 * SAMPLES


def mapped(path: Path, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values.tofile(path)
    return np.memmap(path, np.float64, "r", shape=values.shape)


def test_memory_stays_below_one_column(tmp_path: Path, key: SigningKey) -> None:
    time_s = mapped(tmp_path / "t", np.arange(SAMPLES, dtype=np.float64))
    steps = np.round(np.sin(np.arange(SAMPLES) / 50.0), 2)
    voltage, current = (
        mapped(tmp_path / "v", 3.7 + steps),
        mapped(tmp_path / "i", steps),
    )
    target = tmp_path / "large.h5"
    tracemalloc.start()
    try:
        trace = Trace(
            "large",
            None,
            time_s,
            np.array([0]),
            {"voltage_v": voltage, "current_a": current},
        )
        digest = trace_sha256(trace)
        unit = ArchivedUnit(trace, Pack("large"))
        write_archive(target, [], [unit], [], key=key, ledger=False)
        checked = verify_archive(target, {key.fingerprint: "ana"})
        with open_archive(target) as opened:
            window = opened.window("large", "voltage_v", SAMPLES - 5, SAMPLES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < COLUMN_BYTES // 2, f"{peak} bytes for columns of {COLUMN_BYTES}"
    assert checked.integrity == "intact"
    assert np.array_equal(window, voltage[-5:])
    with open_archive(target) as opened:
        assert trace_sha256(opened.trace("large")) == digest
