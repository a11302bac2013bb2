"""Every exception battlife raises, and the exit code each one becomes.

::

    BattlifeError              1
    ├── InputError             3   a value or file from outside is wrong
    │   ├── FormatError        3   no reader, or several
    │   └── ArchiveError       3   damaged, forged, or unknown schema
    ├── HardwareError          4   the rig cannot be opened or went away
    │   ├── RigTimeoutError    4   it stopped answering
    │   └── ProtocolError      4   wrong checksum, sequence or firmware version
    └── EstimateError          5   the data cannot support an estimate asked for

Programming mistakes stay ``ValueError`` and ``TypeError``.
"""


class BattlifeError(Exception):
    """Base of all errors of battlife.

    Parameters
    ----------
    message : what happened, to which device or file, with the value
    hint : what the operator can do next
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type["BattlifeError"], tuple[object, ...]]:
        return type(self), (self.message, self.hint)


class InputError(BattlifeError):
    """A value or file from outside is wrong."""

    exit_code = 3


class FormatError(InputError):
    """No reader recognises a file, or several do."""


class ArchiveError(InputError):
    """An archive is damaged, forged, or of an unknown schema."""


class HardwareError(BattlifeError):
    """The rig cannot be opened or went away."""

    exit_code = 4


class RigTimeoutError(HardwareError, TimeoutError):
    """The rig stopped answering."""


class ProtocolError(HardwareError):
    """A device answered with a wrong checksum, sequence or firmware version."""


class EstimateError(BattlifeError):
    """The data are fine but cannot support any estimate asked for.

    Parameters
    ----------
    reasons : machine-readable reason codes, most important first
    """

    exit_code = 5

    def __init__(
        self, message: str, hint: str = "", reasons: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hint)
        self.reasons = reasons

    def __reduce__(self) -> tuple[type["BattlifeError"], tuple[object, ...]]:
        return type(self), (self.message, self.hint, self.reasons)
