"""What the readers of impedance spectra share: rows of numbers and one Trace."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Spectrum, Trace
from battlife.readers.shape import shaped


@dataclass
class Rows:
    """Rows of numbers under named columns, and what went wrong reading them."""

    names: Sequence[str]
    values: list[list[float]] = field(default_factory=list)
    unreadable: int = 0

    def add(self, fields: Sequence[str], decimal_comma: bool = False) -> None:
        """Append one row; one with too few or too many fields is counted, not kept."""
        width = len(self.names)
        if len(fields) < width or any(text.strip() for text in fields[width:]):
            self.unreadable += 1
            return
        row = []
        for text in fields[:width]:
            plain = text.strip()
            if decimal_comma:
                plain = plain.replace(",", ".")
            try:
                row.append(float(plain))
            except ValueError:
                row.append(float("nan"))
        self.values.append(row)

    def column(self, name: str) -> Column:
        """Return one (n,) column, all NaN if there is none of this name."""
        if name not in self.names:
            return np.full(len(self.values), np.nan)
        place = list(self.names).index(name)
        return np.array([row[place] for row in self.values], dtype=np.float64)

    def notices(self) -> tuple[Notice, ...]:
        """Report the rows that were not kept."""
        if not self.unreadable:
            return ()
        return (
            Notice(
                "truncated_record",
                f"{self.unreadable} rows have a wrong number of fields: kept out",
            ),
        )


def unfinished(text: str) -> tuple[Notice, ...]:
    """Report a last line without an end: its last value may be cut."""
    if not text or text[-1] in "\r\n\0\x1a":
        return ()
    return (
        Notice(
            "truncated_record",
            "the last line has no line end: the file may be cut, and its last value "
            "with it",
        ),
    )


def fewer(found: int, declared: int, what: str) -> tuple[Notice, ...]:
    """Report records that a file declares and does not hold."""
    if found >= declared:
        return ()
    return (
        Notice(
            "missing_records", f"the file declares {declared} {what}, {found} are there"
        ),
    )


def spectrum_trace(
    path: Path,
    spectra: Iterable[tuple[Column, Column, Column]],
    *,
    time_s: Sequence[Column] = (),
    columns: Mapping[str, Column] | None = None,
    header: Mapping[str, object] | None = None,
    notices: Iterable[Notice] = (),
    unit_id: str = "",
) -> Trace:
    """Return a Trace of one or more spectra.

    Parameters
    ----------
    spectra : frequency in Hz, real and imaginary part in ohm of each; points that
        are not numbers are kept out and counted
    time_s : (m,) s of the points of each spectrum; without it there are no samples
    columns : (n,) each over all points, taken where `time_s` is given
    unit_id : identity of the unit; the stem of the file's name without one

    Raises
    ------
    InputError
        Not one complete point.
    """
    found = list(notices)
    made: list[Spectrum] = []
    for i, (frequency, real, imaginary) in enumerate(spectra):
        good = np.isfinite(frequency) & np.isfinite(real) & np.isfinite(imaginary)
        good &= frequency > 0
        if not good.all():
            found.append(
                Notice(
                    "unreadable_points",
                    f"{int((~good).sum())} of {good.size} points of a spectrum are "
                    "not numbers and kept out",
                )
            )
        if not good.any():
            continue
        when = time_s[i][good][0] if i < len(time_s) else float("nan")
        made.append(
            Spectrum(frequency[good], real[good], imaginary[good], time_s=float(when))
        )
    if not made:
        raise InputError(
            f"{path}: not one complete point of a spectrum",
            "was the measurement or the export interrupted?",
        )
    times = np.concatenate(list(time_s)) if time_s else np.zeros(0)
    return shaped(
        unit_id or path.stem,
        times,
        columns if columns is not None and times.size else {},
        header=header,
        notices=found,
        spectra=made,
    )
