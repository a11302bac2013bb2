"""CH Instruments text export of A.C. impedance."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from battlife.errors import InputError
from battlife.model import Notice, Trace
from battlife.readers.spectrum import Rows, spectrum_trace, unfinished
from battlife.readers.texts import read_text

_COLUMNS: Final = ("Freq/Hz", "Z'/ohm", 'Z"/ohm')
_LOW: Final = re.compile(r"^Low Frequency \(Hz\) = ([0-9.eE+-]+)", re.MULTILINE)
_MODEL: Final = re.compile(r"^Instrument Model:[ \t]*(\S+)", re.MULTILINE)


class ChInstrumentsReader:
    """Reads impedance of a CHI potentiostat; Z" is the imaginary part with its sign."""

    name = "ch_instruments"
    description = "CH Instruments .txt impedance"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the head is of a CHI instrument's text file."""
        text = head.decode("latin-1")
        return "Data Source:" in text and "Instrument Model:" in text and "CHI" in text

    def read(self, path: Path) -> Sequence[Trace]:
        """Read the one sweep a file holds.

        Raises
        ------
        InputError
            Another technique than A.C. impedance, or no point.
        """
        text = read_text(path)
        lines = text.splitlines()
        start = next((i for i, x in enumerate(lines) if x.startswith("Freq/Hz")), None)
        names = [] if start is None else [n.strip() for n in lines[start].split(",")]
        if start is None or not set(_COLUMNS) <= set(names):
            technique = lines[1].strip() if len(lines) > 1 else ""
            raise InputError(
                f"{path}: technique {technique!r} has no columns {', '.join(_COLUMNS)}",
                "only A.C. impedance of CH Instruments is read; export others as CSV",
            )
        rows = Rows(names)
        for line in lines[start + 1 :]:
            if line.strip():
                rows.add(line.split(","))
        notices: list[Notice] = [*rows.notices(), *unfinished(text)]
        frequency = rows.column(_COLUMNS[0])
        low = _LOW.search(text)
        if low and frequency.size and frequency[-1] > 1.05 * float(low[1]):
            notices.append(
                Notice(
                    "missing_records",
                    f"the sweep was set to end at {float(low[1]):g} Hz, the last "
                    f"point is at {frequency[-1]:g} Hz",
                )
            )
        model = _MODEL.search(text)
        return (
            spectrum_trace(
                path,
                [(frequency, rows.column(_COLUMNS[1]), rows.column(_COLUMNS[2]))],
                header={
                    "start_time": lines[0],
                    "instrument": model[1] if model else "",
                },
                notices=notices,
            ),
        )


READER = ChInstrumentsReader()
