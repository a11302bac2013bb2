"""Table of an open-circuit curve, given as a file where there is no model."""

import csv
from pathlib import Path

import numpy as np

from battlife.errors import InputError
from battlife.model import Column


def read_ocv(path: str) -> tuple[Column, Column]:
    """Return (soc, V) of a CSV table with the columns soc and ocv_v (or voltage).

    Raises
    ------
    InputError
        It cannot be read, lacks a column, or is not an increasing curve of a cell.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    header = [c.strip().lower() for c in rows[0]] if rows else []
    places = [
        next((k for k, c in enumerate(header) if c.startswith(names)), -1)
        for names in (("soc",), ("ocv", "voltage"))
    ]
    if min(places) < 0:
        raise InputError(
            f"{path}: needs the columns soc and ocv_v, has {', '.join(header)}",
            "soc is a fraction, ocv_v the open-circuit voltage of one cell",
        )
    try:
        values = np.array([[float(r[k]) for k in places] for r in rows[1:] if r])
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: a line is not two numbers: {error}") from error
    if len(values) < 5 or not np.isfinite(values).all():
        raise InputError(f"{path}: fewer than five points, or one is no number")
    soc, volt = values[np.argsort(values[:, 0], kind="stable")].T
    soc, first = np.unique(soc, return_index=True)
    if soc[0] < -0.05 or soc[-1] > 1.05 or np.ptp(soc) < 0.8:
        raise InputError(
            f"{path}: soc runs from {soc[0]:g} to {soc[-1]:g}",
            "a fraction from about 0 to about 1, not percent",
        )
    return soc, volt[first]
