"""Impedance as delimited text: frequency, real and imaginary part by their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Severity, Trace
from battlife.readers import generic, tables, texts
from battlife.readers.columns import conversion, meaning
from battlife.readers.spectrum import spectrum_trace

_FREQUENCY: Final = "frequency_hz"
_PARTS: Final = ("z_re_ohm", "z_im_ohm", "minus_z_im_ohm")
_BARE: Final = {
    "f": _FREQUENCY,
    "re": "z_re_ohm",
    "real": "z_re_ohm",
    "im": "z_im_ohm",
    "imag": "z_im_ohm",
    "imaginary": "z_im_ohm",
    "-im": "minus_z_im_ohm",
    "-imag": "minus_z_im_ohm",
    "-imaginary": "minus_z_im_ohm",
}
"""Names that mean this only beside the two others; no unit goes with them."""


@dataclass(frozen=True)
class ImpedanceText:
    """Reads impedance spectra from text with a header."""

    name: str = "impedance_text"
    description: str = "impedance as .csv or .txt: frequency, Z' and Z'' by name"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether a header names the three columns and numbers follow."""
        if generic.is_foreign(head, name) or generic.TEXT.recognises(head, name):
            return False
        lines = texts.split_lines(texts.decode(head))
        found = _header(lines)
        if found is None:
            return False
        layout, lines = found
        below = [s for s in lines[layout.header_line + 1 :] if s.strip()][:3]
        return any(
            sum(map(generic.is_number, s.split(layout.delimiter))) >= 3 for s in below
        )

    def read(self, path: Path) -> Sequence[Trace]:
        """Read a file; a sweep that starts again is a spectrum of its own.

        Raises
        ------
        InputError
            The columns are missing, or have a unit that is not known.
        """
        text = texts.read_text(path)
        found = _header(texts.split_lines(text))
        if found is None:
            raise InputError(
                f"{path}: no line names a frequency and two parts of an impedance",
                "name the columns, for example f/Hz, Re(Z)/Ohm, Im(Z)/Ohm",
            )
        layout, lines = found
        table = tables.parse_table(lines, layout, layout.header_line + 1)
        notices = list(table.notices)
        roles = _roles(table.names)
        if not roles:
            raise InputError(
                f"{path}: the records have fewer fields than the header names",
                "was the file cut or edited?",
            )
        parts = {}
        for quantity, name in roles.items():
            parts[quantity] = _converted(table, quantity, name, path, notices)
        frequency, real = parts[_FREQUENCY], parts["z_re_ohm"]
        if "minus_z_im_ohm" in parts:
            imaginary = -parts["minus_z_im_ohm"]
        else:
            imaginary = parts["z_im_ohm"]
        notices += _sign_doubts(frequency, imaginary)
        runs = _sweeps(frequency)
        spectra = [(frequency[r], real[r], imaginary[r]) for r in runs]
        return (spectrum_trace(path, spectra, notices=notices),)


def _header(lines: list[str]) -> tuple[tables.Layout, list[str]] | None:
    """Return where the table lies, and the lines with one delimiter for blanks."""

    def score(fields: Sequence[str]) -> int:
        return len(_roles(fields))

    layout = tables.find_header(lines, score)
    if layout is not None:
        return layout, lines
    spaced = ["\t".join(line.split()) for line in lines]
    layout = tables.find_header(spaced, score, "\t")
    return None if layout is None else (layout, spaced)


def _roles(fields: Sequence[str]) -> dict[str, str]:
    """Return the column of each quantity; empty unless all three are there."""
    found: dict[str, str] = {}
    for name in fields:
        known = meaning(name)
        quantity = known.quantity if known else _BARE.get(name.strip().lower(), "")
        if quantity in (_FREQUENCY, *_PARTS):
            found.setdefault(quantity, name)
    complete = _FREQUENCY in found and "z_re_ohm" in found
    return found if complete and len(found) > 2 else {}


def _converted(
    table: tables.Table, quantity: str, name: str, path: Path, notices: list[Notice]
) -> Column:
    known = meaning(name)
    unit = known.unit if known is not None else ""
    scale = conversion(quantity, unit)
    if scale is None and unit:
        raise InputError(
            f"{path}: column {name!r} is in {unit!r}",
            "only Hz and ohm with their prefixes are read",
        )
    if scale is None:
        is_frequency = quantity == _FREQUENCY
        notices.append(
            Notice(
                "unit_assumed",
                f"{name}: no unit in the file; taken as "
                + ("Hz" if is_frequency else "ohm, which may be milliohm"),
                Severity.WARNING if is_frequency else Severity.SUSPECT,
            )
        )
    values, bad = table.numbers(name)
    if bad:
        notices.append(
            Notice(
                "unreadable_values",
                f"{name}: {len(bad)} values are not numbers; the first is in line "
                f"{table.lines[bad[0]]}",
            )
        )
    minus = quantity == "z_re_ohm" and name.strip().startswith("-")
    return values * (scale[0] if scale else 1.0) * (-1.0 if minus else 1.0)


def _sign_doubts(frequency: Column, imaginary: Column) -> list[Notice]:
    """Return a notice where the lower half of the sweep is inductive."""
    good = np.isfinite(frequency) & np.isfinite(imaginary)
    if good.sum() < 4:
        return []
    low = good & (frequency <= np.median(frequency[good]))
    if float(np.median(imaginary[low])) <= 0:
        return []
    return [
        Notice(
            "impedance_sign_unknown",
            "the imaginary part is positive at low frequency, where cells are "
            "capacitive: the column holds -Im(Z)?",
            Severity.SUSPECT,
        )
    ]


def _sweeps(frequency: Column) -> list[slice]:
    """Split where the frequency turns against the direction of the sweep."""
    step = np.sign(np.diff(frequency))
    way = 1.0 if float(np.nansum(step)) > 0 else -1.0
    starts = [0, *(np.flatnonzero(step == -way) + 1).tolist()]
    bounds = [*starts, frequency.size]
    return [slice(a, b) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]


READER = ImpedanceText()
