"""A content hash of a trace: the same values give the same digest everywhere."""

import hashlib

import numpy as np
import numpy.typing as npt

from battlife.model.trace import Trace


def trace_sha256(trace: Trace) -> str:
    """Return the SHA-256 of everything measured in a trace.

    Covers unit id, start, time, segments, columns by name, steps and spectra, as
    little-endian bytes with their names and shapes; provenance is left out, so that
    re-reading the same file from another place gives the same digest.
    """
    digest = hashlib.sha256()

    def add(name: str, array: npt.NDArray[np.generic]) -> None:
        values = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{name}:{values.dtype.str}:{values.shape};".encode())
        digest.update(values.data)  # no copy: a column may exceed memory

    start = trace.start_utc.isoformat() if trace.start_utc else ""
    digest.update(f"battlife trace 1;{trace.unit_id};{start};".encode())
    add("time_s", trace.time_s)
    add("segment_start", trace.segment_start)
    for name in sorted(trace.columns):
        add(name, trace.columns[name])
    if trace.steps is not None:
        add("steps.kind", trace.steps.kind)
        for name in sorted(trace.steps.columns):
            add(f"steps.{name}", trace.steps.columns[name])
    for index, spectrum in enumerate(trace.spectra):
        for name in ("frequency_hz", "z_re_ohm", "z_im_ohm"):
            add(f"spectra.{index}.{name}", getattr(spectrum, name))
        at = (spectrum.time_s, spectrum.voltage_v, spectrum.temperature_degc)
        add(f"spectra.{index}.at", np.array(at, dtype=np.float64))
    return digest.hexdigest()
