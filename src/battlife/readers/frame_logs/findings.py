"""What reading a bus log brings to light beside its frames, and the log itself."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from battlife.errors import BattlifeError, InputError
from battlife.model import Frame, FrameLog, Notice, Severity

NS: Final = 1_000_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_EPOCH_NS: Final = 315_532_800 * NS
"""1980: a time stamp from here on counts from 1970, an earlier one from a start."""
LAST_EPOCH_NS: Final = 253_402_300_800 * NS
"""The year 10000."""
MAX_NOTICES: Final = 64
"""Kinds of notices of one log."""


class BadRecord(Exception):  # noqa: N818 - caught where it is counted, never shown
    """A line or a record is not what its format says; it gives no frame."""


@dataclass
class _Count:
    text: str
    first: str
    severity: Severity
    n: int = 0


class Findings:
    """Start, time axis and notices of a log while it is read.

    Parameters
    ----------
    path : the log, named in what is raised
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start_utc: datetime | None = None
        self.n_frames = 0
        self.damaged = False
        self._counts: dict[str, _Count] = {}
        self._origin_ns: int | None = None
        self._last_ns: int | None = None

    def starts_at(self, time_ns: int) -> None:
        """Let time_s count from a stated start, on the clock of the records."""
        self._origin_ns = time_ns

    def seconds(self, time_ns: int) -> float:
        """Return a record's time in s since the stated start, or the first record.

        Parameters
        ----------
        time_ns : the record's time as the log gives it; from 1980 on it counts from
            1970 in UTC, and the start of the log is known
        """
        if self._origin_ns is None:
            self._origin_ns = time_ns
            if self.start_utc is None and FIRST_EPOCH_NS <= time_ns < LAST_EPOCH_NS:
                self.start_utc = EPOCH + timedelta(microseconds=time_ns // 1000)
        if self._last_ns is not None and time_ns < self._last_ns:
            back_s = (self._last_ns - time_ns) / NS
            self.count("clock_back", "the time goes back", f"by {back_s:g} s")
        self._last_ns = time_ns
        return (time_ns - self._origin_ns) / NS

    def count(
        self,
        code: str,
        text: str,
        first: str,
        severity: Severity = Severity.WARNING,
    ) -> None:
        """Count one more of a kind; the first is told in full.

        Parameters
        ----------
        code : code of the notice
        text : what it is
        first : where, or how, the first time
        severity : see :class:`Severity`
        """
        found = self._counts.get(code)
        if found is None:
            if len(self._counts) >= MAX_NOTICES:
                return
            found = self._counts[code] = _Count(text, first, severity)
        found.n += 1

    def damage(self, text: str, where: str, code: str = "damaged_records") -> None:
        """Count a record that gives no frame because it is damaged."""
        self.damaged = True
        self.count(code, text, where)

    def cut(self, what: str, where: str) -> None:
        """Say that the end of the log is missing."""
        self.damaged = True
        self.count("cut_off", what, where)

    def local_start(self, text: str) -> None:
        """Say that a start is stated without the time zone that would make it UTC."""
        self.count(
            "start_without_zone",
            "the log states its start without a time zone",
            text.strip(),
            Severity.INFO,
        )

    def refused(self, what: str, hint: str) -> InputError:
        """Return the error that ends the reading of this log."""
        return InputError(f"{self.path}: {what}", hint)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What was found so far."""
        return tuple(
            Notice(
                code,
                f"{found.text}: {found.first}"
                + (f" (the first of {found.n})" if found.n > 1 else ""),
                found.severity,
            )
            for code, found in self._counts.items()
        )


Frames = Callable[[BinaryIO, Findings], Iterator[Frame]]
"""Yields the frames of an open file, front to back, and notes what it finds."""


class FileLog:
    """The frames of one file, read once, front to back.

    Opening reads up to the first frame, so that the start is known before.

    Raises
    ------
    InputError
        The file cannot be read as this format, here or while iterating.
    """

    def __init__(self, path: Path, frames: Frames) -> None:
        self._findings = Findings(path)
        self._frames = self._run(path, frames)
        self._first = next(self._frames, None)
        self._begun = False

    @property
    def start_utc(self) -> datetime | None:
        """Moment of time_s = 0, None if the log does not say."""
        return self._findings.start_utc

    @property
    def notices(self) -> Sequence[Notice]:
        """What is odd about the log; complete once the frames were read."""
        return self._findings.notices

    def __iter__(self) -> Iterator[Frame]:
        if self._begun:
            raise ValueError("a bus log is read once: open it again")
        self._begun = True
        if self._first is not None:
            yield self._first
            self._first = None
            yield from self._frames

    def close(self) -> None:
        """Close the file before its end."""
        self._begun = True
        self._first = None
        self._frames.close()

    def _run(self, path: Path, frames: Frames) -> Generator[Frame, None, None]:
        findings = self._findings
        try:
            with path.open("rb") as file:
                for frame in frames(file, findings):
                    findings.n_frames += 1
                    yield frame
        except BattlifeError:
            raise
        except (OSError, MemoryError) as error:
            raise findings.refused(
                f"cannot be read: {error}", "check the file and its medium"
            ) from error
        if findings.n_frames == 0:
            if findings.damaged:
                said = "; ".join(n.message for n in findings.notices)
                raise findings.refused(
                    f"no frame can be read: {said}",
                    "the file is damaged, or of another format: name it with --format",
                )
            findings.count("no_frames", "the log holds no frame", "none was recorded")


@dataclass(frozen=True)
class LogReader:
    """A bus-log format.

    Attributes
    ----------
    name : as `--format` takes it
    description : one line on the format
    looks_right : says whether the first 4 KiB look like it
    read : yields the frames of an open file
    """

    name: str
    description: str
    looks_right: Callable[[bytes], bool]
    read: Frames

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the first 4 KiB look like this format; names lie."""
        del name
        return self.looks_right(head)

    def frames(self, path: Path) -> FrameLog:
        """Open a log; its frames come as they are asked for."""
        return FileLog(path, self.read)
