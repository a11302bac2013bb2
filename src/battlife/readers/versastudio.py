"""Princeton Applied Research VersaStudio .par: blocks in angle brackets."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from battlife.errors import InputError
from battlife.model import Notice, Trace
from battlife.readers.shape import shaped
from battlife.readers.spectrum import Rows, spectrum_trace
from battlife.readers.texts import read_text

_BEGIN: Final = re.compile(r"^<Segment(\d+)>\s*$")
_FACT: Final = re.compile(r"^(Type|SN|TimeAcquired|DateAcquired)=(.*)$", re.MULTILINE)


class VersaStudioReader:
    """Reads VersaStudio segments; positive current is taken to charge the cell."""

    name = "versastudio"
    description = "Princeton Applied Research VersaStudio .par"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the head is of VersaStudio."""
        return b"<Application>" in head[:64] and b"VersaStudio" in head[:256]

    def read(self, path: Path) -> Sequence[Trace]:
        """Read every segment: impedance becomes spectra, E(V) and I(A) samples.

        Raises
        ------
        InputError
            No segment with rows.
        """
        text = read_text(path)
        notices: list[Notice] = []
        segments = [s for s in _segments(text, notices) if s.values]
        if not segments:
            raise InputError(
                f"{path}: no segment holds rows", "was the experiment interrupted?"
            )
        names = list(segments[0].names)
        joined = Rows(names)
        for segment in segments:
            if list(segment.names) != names:
                raise InputError(f"{path}: its segments have different columns")
            joined.values += segment.values
            joined.unreadable += segment.unreadable
        notices += joined.notices()
        for needed in ("Elapsed Time(s)", "E(V)", "I(A)"):
            if needed not in names:
                raise InputError(f"{path}: the segments have no column {needed}")
        facts = dict(reversed(_FACT.findall(text)))  # the first of a name counts
        header = {
            "instrument": f"{facts.get('Type', '')} {facts.get('SN', '')}",
            "start_time": f"{facts.get('DateAcquired', '')} "
            f"{facts.get('TimeAcquired', '')}",
        }
        columns = {
            "voltage_v": joined.column("E(V)"),
            "current_a": joined.column("I(A)"),
        }
        sweeps = [s for s in segments if (s.column("Frequency(Hz)") > 0).any()]
        if not sweeps:
            return (
                shaped(
                    path.stem,
                    joined.column("Elapsed Time(s)"),
                    columns,
                    header=header,
                    notices=notices,
                ),
            )
        return (
            spectrum_trace(
                path,
                [
                    (s.column("Frequency(Hz)"), s.column("Z Real"), s.column("Z Imag"))
                    for s in sweeps
                ],
                time_s=[s.column("Elapsed Time(s)") for s in sweeps],
                columns=columns if len(sweeps) == len(segments) else None,
                header=header,
                notices=notices,
            ),
        )


def _segments(text: str, notices: list[Notice]) -> list[Rows]:
    segments: list[Rows] = []
    current: Rows | None = None
    end = ""
    for line in text.splitlines():
        match = _BEGIN.match(line)
        if match:
            current, end = Rows(()), f"</Segment{match[1]}>"
            segments.append(current)
        elif current is None:
            continue
        elif line.strip() == end:
            current = None
        elif line.startswith("Definition="):
            # The last field is a bare 0 that names no column.
            names = [n.strip() for n in line.partition("=")[2].split(",")]
            current.names = names[:-1] if names[-1] == "0" else names
        elif current.names and line.strip():
            current.add(line.split(","))
    if current is not None:
        notices.append(
            Notice("truncated_record", f"the file ends inside a segment: no {end}")
        )
    return segments


READER = VersaStudioReader()
