"""Scribner ZPlot .z: tab separated since ZPLOT2, comma separated before."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from battlife.errors import InputError
from battlife.model import Notice, Trace
from battlife.readers.spectrum import Rows, fewer, spectrum_trace, unfinished
from battlife.readers.texts import read_text

_NAMES: Final = (
    "frequency_hz",
    "amplitude_v",
    "bias_v",
    "time_s",
    "z_re_ohm",
    "z_im_ohm",
    "gd",
    "error",
    "range",
)
_COLUMNS: Final = re.compile(
    r"Freq\s?\(Hz\)\s+Ampl\s+Bias\s+Time\(Sec\)\s+Z'\(a\)\s+Z''\(b\)"
)
_FINAL: Final = re.compile(r"vs Freq-Final:\s*([0-9.eE+-]+)")
_DATE: Final = re.compile(r"Date:\s*([\d/.-]+)\s+Time:\s*([\d:]+)")


class ZPlotReader:
    """Reads impedance of ZPlot; Z''(b) is the imaginary part with its sign."""

    name = "zplot"
    description = "Scribner ZPlot .z impedance"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the head names ZPlot."""
        return head.lstrip(b'"').startswith((b"ZPLOT", b"ZPlotW", b"Z60W Data File"))

    def read(self, path: Path) -> Sequence[Trace]:
        """Read the one sweep a file holds.

        Raises
        ------
        InputError
            The columns are not those of a frequency sweep, or hold no point.
        """
        text = read_text(path)
        lines = text.splitlines()
        start = next((i for i, x in enumerate(lines) if _COLUMNS.search(x)), None)
        if start is None:
            raise InputError(
                f"{path}: no columns Freq(Hz) ... Z'(a) Z''(b)",
                "only frequency sweeps of ZPlot are read",
            )
        rows = Rows(_NAMES)
        for line in lines[start + 1 :]:
            if not line.strip() or line.strip() == "End Comments":
                continue
            rows.add(line.split("\t") if "\t" in line else line.split(","))
        notices: list[Notice] = [*rows.notices(), *unfinished(text)]
        count = lines[start - 1].strip() if start else ""
        if count.isdigit():
            notices += fewer(len(rows.values), int(count), "points")
        frequency = rows.column("frequency_hz")
        final = _FINAL.search(text)
        if final and frequency.size:
            aim = float(final[1])
            away = abs(frequency[-1] - aim) > 0.05 * aim
            if away:
                notices.append(
                    Notice(
                        "missing_records",
                        f"the sweep was set to end at {aim:g} Hz, the last point is "
                        f"at {frequency[-1]:g} Hz",
                    )
                )
        stamp = _DATE.search(text)
        return (
            spectrum_trace(
                path,
                [(frequency, rows.column("z_re_ohm"), rows.column("z_im_ohm"))],
                time_s=[rows.column("time_s")],
                header={"start_time": " ".join(stamp.groups()) if stamp else ""},
                notices=notices,
            ),
        )


READER = ZPlotReader()
