"""Any CAN bus that a DBC file describes; cantools reads the file.

A value is called ``dbc_MESSAGE_SIGNAL`` and is in the unit of the DBC file: nothing is
concluded from the name of a signal. Which signals are voltage, current or cells is said
in a mapping file (see :mod:`battlife.wire._dbc_map`), so that such a log can be graded.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Literal

from battlife.errors import InputError, ProtocolError
from battlife.model import Frame, Notice, Reading, Rejected, Request, Value
from battlife.model.frame import is_simulated
from battlife.wire import _dbc_file, _dbc_map
from battlife.wire._dbc_signals import MessageReader, SignalReader

_HINT: Final = "the DBC file is of another bus or version, or the frame is damaged"


@dataclass(frozen=True)
class Dbc:
    """A bus that a DBC file describes.

    Parameters
    ----------
    dbc : the DBC file
    map : TOML file that says which signals are which values, None for none

    Raises
    ------
    InputError
        A file is missing, no such file, or names what does not exist.
    """

    dbc: Path | None = None
    map: Path | None = None
    _file: _dbc_file.DbcFile = field(init=False, repr=False, compare=False)
    _entries: Sequence[_dbc_map.Entry] = field(init=False, repr=False, compare=False)

    name: ClassVar[str] = "dbc"
    description: ClassVar[str] = "any CAN bus that a DBC file describes"
    medium: ClassVar[Literal["serial", "can"]] = "can"
    device: ClassVar[str] = ""
    bauds: ClassVar[Sequence[int]] = (500_000, 250_000, 1_000_000, 125_000)
    permitted: ClassVar[Sequence[Request]] = ()
    probes: ClassVar[Sequence[Request]] = ()
    signature: ClassVar[Sequence[str]] = ()
    keep_alive: ClassVar[Sequence[Request]] = ()
    keep_alive_s: ClassVar[float] = 1.0
    clear_faults: ClassVar[Sequence[Request]] = ()

    def __post_init__(self) -> None:
        if self.dbc is None:
            raise InputError(
                "dbc needs a DBC file", "give --dbc FILE, or ?dbc=FILE in a target"
            )
        loaded = _dbc_file.load(Path(self.dbc))
        entries: Sequence[_dbc_map.Entry] = ()
        if self.map is not None:
            entries = _dbc_map.load(Path(self.map), loaded.messages.values())
        object.__setattr__(self, "_file", loaded)
        object.__setattr__(self, "_entries", entries)

    @property
    def messages(self) -> Sequence[str]:
        """Names of the messages the file describes."""
        return tuple(message.name for message in self._file.messages.values())

    @property
    def notices(self) -> Sequence[Notice]:
        """What had to be done to load the file; also on the first reading."""
        return self._file.notices

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return nothing: a DBC file says what is broadcast."""
        del known
        return ()

    def decoder(self) -> "DbcDecoder":
        """Return a decoder that has heard nothing yet."""
        return DbcDecoder(self._file, self._entries)


class DbcDecoder:
    """Decodes each frame by itself."""

    def __init__(
        self, file: _dbc_file.DbcFile, entries: Sequence[_dbc_map.Entry]
    ) -> None:
        self._messages = file.messages
        self._entries = entries
        self._notices = file.notices

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next frame; yield what it says."""
        if frame.identifier is None or frame.kind != "data" or is_simulated(frame):
            return
        message = self._messages.get((frame.identifier, frame.extended))
        if message is None:
            return
        yield self._decoded(frame, message)

    def finish(self) -> Iterator[Reading | Rejected]:
        """Return nothing: no message goes over its frame."""
        return iter(())

    def _decoded(self, frame: Frame, message: MessageReader) -> Reading | Rejected:
        why = ""
        signals: Sequence[tuple[SignalReader, float]] = ()
        try:
            signals = message.values(frame.data)
            if not signals and message.signals:
                why = f"{len(frame.data)} bytes hold none of its signals"
        except ValueError as error:
            why = str(error)
        if why:
            return Rejected(
                frame.time_s,
                "",
                ProtocolError(f"{message.name}: {why}", _HINT),
                frame.data,
                message.name,
                frame.identifier,
            )
        notices = [*self._notices]
        self._notices = ()
        if len(frame.data) != message.length:
            # A CAN controller drops damaged frames: the sender's frame is this long,
            # and signals that lie wholly inside it are right.
            notices.append(
                Notice(
                    "other_length",
                    f"{message.name}: {len(frame.data)} bytes, and the DBC file "
                    f"describes {message.length}",
                )
            )
        notices.extend(
            Notice(
                "out_of_range",
                f"{message.name}.{signal.name} is {value:g}, and the DBC file says "
                f"{signal.low:g} to {signal.high:g}",
            )
            for signal, value in signals
            if signal.low is not None
            and signal.high is not None
            and (value < signal.low or value > signal.high)
        )
        numbers = {signal.name: value for signal, value in signals}
        shared, critical = _dbc_map.mapped(self._entries, message.name, numbers)
        values: dict[str, Value] = {
            f"dbc_{message.name}_{name}": value for name, value in numbers.items()
        }
        values.update(shared)
        return Reading(
            frame.time_s,
            "",
            message.name,
            values,
            frame.data,
            frame.identifier,
            (*notices, *critical),
        )
