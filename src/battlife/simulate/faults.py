"""What may be wrong with a simulated device, by name."""

import random
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from battlife.errors import InputError

FAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "weak_cell": "cell 3 has 70 % of its capacity and three times the resistance",
        "dead_cell": "cell 2 is discharged to 0.4 V",
        "open_sense_wire": "cell 4 reads 0 V and cell 5 both; of four, 3 and 4",
        "blown_service_fuse": "no voltage at the terminals, contactors open",
        "bms_reset": "the BMS claims a state of health of 100 %",
        "stuck_value": "the BMS repeats what it measured first",
        "over_temperature": "sensor 1 is at 72 degC",
        "low_isolation": "20 kohm between pack and chassis",
        "fault_codes": "the BMS reports a cell overvoltage and a short circuit",
        "noise": "random bytes before every third message",
        "dropped_frames": "every fourth message is lost",
        "corrupted_frames": "every fourth message has one bit flipped",
        "wrong_baud": "every byte is garbage, as at another baud rate",
        "silence": "no answer later than 5 s after the first question",
        "unplug": "the channel goes away 5 s after its first use, for 3 s; each 30 s",
    }
)
"""Names of the faults and what each does."""

SILENT_AFTER_S: Final = 5.0
UNPLUGGED_AFTER_S: Final = 5.0
UNPLUGGED_FOR_S: Final = 3.0
UNPLUGGED_EVERY_S: Final = 30.0


def checked(faults: Iterable[str]) -> frozenset[str]:
    """Return the faults as a set.

    Raises
    ------
    InputError
        One of them has no such name.
    """
    chosen = frozenset(faults)
    for name in sorted(chosen - FAULTS.keys()):
        raise InputError(f"there is no fault {name!r}", "known: " + ", ".join(FAULTS))
    return chosen


class Disturbance:
    """What a bad line does to the messages of a device, deterministic by its seed.

    Parameters
    ----------
    faults : names of :data:`FAULTS`; those of the pack do nothing here
    seed : of the noise
    """

    def __init__(self, faults: frozenset[str], seed: int) -> None:
        self._faults = faults
        self._random = random.Random(f"line {seed}")
        self._count = 0

    def disturbed(self, message: bytes, now_s: float) -> bytes:
        """Return what is left of a message sent `now_s` after the start."""
        self._count += 1
        if "silence" in self._faults and now_s >= SILENT_AFTER_S:
            return b""
        fourth = self._count % 4 == 0
        if "dropped_frames" in self._faults and fourth:
            return b""
        if "corrupted_frames" in self._faults and fourth and message:
            flipped = bytearray(message)
            flipped[self._random.randrange(len(message))] ^= (
                1 << self._random.randrange(8)
            )
            message = bytes(flipped)
        if "wrong_baud" in self._faults:
            return self._random.randbytes(max(1, len(message) // 2))
        if "noise" in self._faults and self._count % 3 == 0:
            message = self._random.randbytes(self._random.randint(1, 24)) + message
        return message
