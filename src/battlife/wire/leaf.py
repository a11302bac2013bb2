"""Nissan Leaf: the LBC of ZE0 (24 kWh), AZE0 (24, 30 kWh) and ZE1 (40, 62 kWh).

It broadcasts whenever it is awake and answers groups of service 21 without a session.
What it publishes as state of health is wiped by a reset of the BMS and then reads
100 %; the ampere hours it counted survive. Both are given, and a disagreement is said.

References
----------
leaf_can_bus_messages (DBC files); Battery-Emulator, NISSAN-LEAF-BATTERY.cpp, PR #2941
(reset); OVMS, vehicle_nissanleaf.cpp.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from battlife.errors import InputError
from battlife.model import (
    Frame,
    Notice,
    Reading,
    Rejected,
    Request,
    Severity,
    Value,
)
from battlife.wire._ev import EvDecoder, Link, asked, beats, with_values
from battlife.wire._leaf_messages import (
    BROADCASTS,
    CLEAR,
    LENGTH_24_KWH,
    LENGTH_30_KWH,
    MESSAGES,
    ZE1_ONLY,
    history_of_aze0,
    temperature_of_ze0,
    usable_soc,
)

AS_NEW_AH: Final = {LENGTH_24_KWH: 66.0, LENGTH_30_KWH: 80.0}
"""What the LBC counts in a new pack, by the length of group 01 (OVMS). The ZE1 has one
length for 40 kWh (115.44 Ah, WiCAN PR #750) and 62 kWh: there it must be given."""
SOH_TOLERANCE: Final = 0.05
"""Published and counted state of health agree within this: the broadcast one is a whole
percent, cut off, and new packs are seen to count up to some percent more or less than
the reference. A reset pack worth regrading is further off."""
WH_PER_GID: Final = 80.0
"""Of the DBC; Battery-Emulator takes 77."""

_LINK: Final = Link(0x79B, 0x7BB)
_REQUESTS: Final = asked(MESSAGES, _LINK)
_ZE1_MARKS: Final = frozenset({0x1ED, 0x1C2, 0x5BF, 0x5EB, 0x380})
_AZE0_MARK: Final = 0x59E
GENERATIONS: Final = ("ze0", "aze0", "ze1")

_WAKE: Final = tuple(
    request
    for second in ("000000005DC8", "00000001B231", "000000025D63", "00000003B29A")
    for request in (
        *beats(0x50B, [bytes.fromhex("000006C0000000")]),
        *beats(0x50C, [bytes.fromhex(second)]),
    )
)
"""What the vehicle control module says each 100 ms to keep the LBC awake: 0x50B with
the wake-up command, 0x50C with a counter and a CRC-8 (Battery-Emulator)."""


@dataclass(frozen=True)
class Leaf:
    """The battery of a Nissan Leaf.

    Attributes
    ----------
    as_new_ah : Ah its LBC counted when new; None takes :data:`AS_NEW_AH`
    wh_per_gid : Wh of one gid, the LBC's unit of remaining energy
    generation : "ze0", "aze0" or "ze1"; "" lets the messages tell

    Raises
    ------
    InputError
        A value that no Leaf has.
    """

    as_new_ah: float | None = None
    wh_per_gid: float = WH_PER_GID
    generation: str = ""

    def __post_init__(self) -> None:
        if self.as_new_ah is not None and not 10 <= self.as_new_ah <= 1000:
            raise InputError(
                f"as_new_ah={self.as_new_ah:g} is no capacity of a Leaf in Ah",
                "24 kWh has 66, 30 kWh 80, 40 kWh 115.44",
            )
        if not 60 <= self.wh_per_gid <= 100:
            raise InputError(
                f"wh_per_gid={self.wh_per_gid:g}: sources give 77 and 80 Wh"
            )
        if self.generation and self.generation not in GENERATIONS:
            raise InputError(
                f"there is no Leaf generation {self.generation!r}",
                f"known: {', '.join(GENERATIONS)}",
            )

    @property
    def name(self) -> str:
        """Name of the protocol."""
        return "leaf"

    @property
    def description(self) -> str:
        """One line on the device family."""
        return "Nissan Leaf and e-NV200, ZE0, AZE0, ZE1 (CAN, ISO-TP)"

    @property
    def medium(self) -> Literal["can"]:
        """What carries it."""
        return "can"

    @property
    def device(self) -> str:
        """Label of its readings: a bus has one."""
        return ""

    @property
    def bauds(self) -> Sequence[int]:
        """Bit rate of its bus."""
        return (500_000,)

    @property
    def permitted(self) -> Sequence[Request]:
        """Everything that may be sent to it."""
        return (*_REQUESTS, *self.clear_faults, *self.keep_alive)

    @property
    def probes(self) -> Sequence[Request]:
        """Group 01, whose length no other maker's answer has."""
        return _REQUESTS[:1]

    @property
    def signature(self) -> Sequence[str]:
        """Broadcasts with a checksum."""
        return ("broadcast_1DB", "broadcast_55B")

    @property
    def keep_alive(self) -> Sequence[Request]:
        """0x50B and 0x50C of the vehicle, in turn."""
        return _WAKE

    @property
    def keep_alive_s(self) -> float:
        """Period of the keep-alive frames in s: each of the two comes every 100 ms."""
        return 0.05

    @property
    def clear_faults(self) -> Sequence[Request]:
        """Clears the trouble codes."""
        return asked((CLEAR,), _LINK)

    def requests(self, known: Mapping[str, Value]) -> Sequence[Request]:
        """Return the requests of one cycle; group 61 is asked of a ZE1 only."""
        if known.get("leaf_generation") == "ze1":
            return _REQUESTS
        return tuple(r for r in _REQUESTS if r.name != ZE1_ONLY)

    def decoder(self) -> "LeafDecoder":
        """Return a decoder that has heard nothing yet."""
        return LeafDecoder(self)


class LeafDecoder:
    """Decodes a Leaf's messages with what earlier ones told of the pack.

    Parameters
    ----------
    leaf : with its options
    """

    def __init__(self, leaf: Leaf) -> None:
        self._leaf = leaf
        self._inner = EvDecoder("", _LINK, (*MESSAGES, CLEAR), BROADCASTS)
        self._generation = leaf.generation
        self._published: float | None = None
        self._counted: float | None = None
        self._disagrees = False

    def feed(self, frame: Frame) -> Iterator[Reading | Rejected]:
        """Take the next frame; return what it completes."""
        if not self._leaf.generation and frame.identifier is not None:
            if frame.identifier in _ZE1_MARKS and not frame.extended:
                self._generation = "ze1"
            elif frame.identifier == _AZE0_MARK and self._generation != "ze1":
                self._generation = "aze0"
        for item in self._inner.feed(frame):
            yield self._completed(item) if isinstance(item, Reading) else item

    def finish(self) -> Iterator[Reading | Rejected]:
        """Return what the end of the frames leaves cut off."""
        yield from self._inner.finish()

    def _completed(self, reading: Reading) -> Reading:
        """Return a reading with what it says only for this generation or together."""
        values: dict[str, Value] = {}
        if reading.message == "group_01":
            values |= self._of_group_01(reading)
        elif reading.message == "group_04" and not self._generation:
            third = reading.values["temperature_degc"]
            assert isinstance(third, tuple)
            if third[2] == third[2]:  # only the ZE0 fits a third sensor
                self._generation = "ze0"
        elif reading.message == "broadcast_1DB" and self._generation in ("aze0", "ze1"):
            values |= usable_soc(reading.raw)
        elif reading.message == "broadcast_5C0" and self._generation == "aze0":
            values |= history_of_aze0(reading.raw)
        elif reading.message == "broadcast_5BC":
            values |= self._of_energy(reading)
        if self._generation and reading.message in ("group_01", "broadcast_59E"):
            values["leaf_generation"] = self._generation
        published = reading.values.get("reported_soh")
        if isinstance(published, float):
            self._published = published
        whole = with_values(reading, values) if values else reading
        return self._judged(whole)

    def _of_group_01(self, reading: Reading) -> dict[str, Value]:
        length = len(reading.raw)
        if length not in AS_NEW_AH and not self._leaf.generation:
            self._generation = "ze1"
        as_new_ah = self._leaf.as_new_ah or AS_NEW_AH.get(length)
        ah = reading.values.get("full_capacity_ah")
        if as_new_ah is None or not isinstance(ah, float):
            return {}
        self._counted = ah / as_new_ah
        return {"leaf_soh_from_ah": self._counted, "leaf_as_new_ah": as_new_ah}

    def _of_energy(self, reading: Reading) -> dict[str, Value]:
        values: dict[str, Value] = {}
        gids = reading.values.get("leaf_gids")
        if isinstance(gids, float):
            values["leaf_remaining_energy_wh"] = gids * self._leaf.wh_per_gid
        if self._generation == "ze0":
            values |= temperature_of_ze0(reading.raw)
        return values

    def _judged(self, reading: Reading) -> Reading:
        """Return a reading with a notice where the two states of health disagree."""
        if reading.message == "group_01" and self._counted is None:
            return _with_notice(
                reading,
                Notice(
                    "leaf_as_new_ah_unknown",
                    "40 and 62 kWh packs look alike: give as_new_ah (115.44 for "
                    "40 kWh) to have a state of health from the counted Ah",
                    Severity.INFO,
                ),
            )
        if self._published is None or self._counted is None:
            return reading
        before = self._disagrees
        self._disagrees = abs(self._published - self._counted) > SOH_TOLERANCE
        if not self._disagrees or (before and reading.message != "group_01"):
            return reading
        return _with_notice(
            reading,
            Notice(
                "reported_soh_disagrees",
                f"the BMS claims a state of health of {100 * self._published:.0f} %, "
                f"its counted Ah make {100 * self._counted:.0f} %: was it reset?",
            ),
        )


def _with_notice(reading: Reading, notice: Notice) -> Reading:
    return replace(reading, notices=(*reading.notices, notice))
