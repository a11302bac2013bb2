"""Which chemistry a unit may be of, and the voltage limits that follow."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from battlife.model import Outcome, Reason, Route


@dataclass(frozen=True)
class CellLimits:
    """Voltage limits of one cell in V: never above, never relaxed below."""

    max_v: float
    min_v: float


# Charge voltage of the chemistry plus 0.1 V: Battery-Emulator shuts down 100 mV beyond
# the design voltage. Minimum: 2.0 V relaxed, the floor commonly used for layered
# oxides and LFP (copper dissolves below); Mitsubishi's module check replaces a cell
# below 2.085 V. LTO cells are made to be discharged to 1.5 V.
CELL_LIMITS: Final[Mapping[str, CellLimits]] = MappingProxyType(
    {
        "LCO": CellLimits(4.30, 2.0),
        "NMC": CellLimits(4.30, 2.0),
        "NCA": CellLimits(4.30, 2.0),
        "LMO": CellLimits(4.30, 2.0),
        "LFP": CellLimits(3.75, 2.0),
        "LTO": CellLimits(2.90, 1.5),
    }
)

# LFP discharges at 3.2 to 3.3 V and relaxes below 3.4 V; LTO cells are charged to at
# most 2.8 V. A cell that gives a tenth of its charge above these voltages under load is
# not of that chemistry: overcharging lifts a voltage, but stores nothing there that a
# discharge could give back. A voltage that was merely reached excludes nothing.
EXCLUDED_ABOVE_V: Final[Mapping[str, float]] = MappingProxyType(
    {"LFP": 3.45, "LTO": 2.90}
)
ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {"NCM": "NMC", "LIFEPO": "LFP", "LICOO": "LCO"}
)
"""Other spellings of CELL_LIMITS, digits left out: NCM811, LiFePO4, LiCoO2."""
ANODES: Final = frozenset({"C", "G", "GR", "GRAPHITE", "SI", "SIC", "SIO", "SIOX"})
"""Negative electrodes that leave the limits of the positive one in force."""


def declared_chemistries(chemistry: str) -> tuple[str, ...]:
    """Return the parts of a declared chemistry, () if one is not known here.

    Parameters
    ----------
    chemistry : as declared: "NMC", "LMO/NMC", "LiFePO4", "NCM811-graphite"
    """
    words = [w for w in re.split(r"[^A-Z]+", chemistry.upper()) if w]
    parts = [ALIASES.get(w, w) for w in words if w not in ANODES]
    known = bool(parts) and all(p in CELL_LIMITS for p in parts)
    return tuple(dict.fromkeys(parts)) if known else ()


def possible_chemistries(
    chemistry: str, discharging_v: float | None
) -> tuple[str, ...]:
    """Return the chemistries a unit may be of.

    Parameters
    ----------
    chemistry : as declared
    discharging_v : cell voltage in V above which a good part of the discharge was
        given, None if unknown; used only where the chemistry is not declared or not
        known here
    """
    return declared_chemistries(chemistry) or tuple(
        name
        for name in CELL_LIMITS
        if discharging_v is None
        or discharging_v <= EXCLUDED_ABOVE_V.get(name, float("inf"))
    )


def cell_limits(chemistry: str, discharging_v: float | None) -> CellLimits:
    """Return the limits of a cell, the strictest possible where little is known.

    Parameters
    ----------
    chemistry : as declared; of a blend ("LMO/NMC") the strictest part counts
    discharging_v : as in :func:`possible_chemistries`
    """
    candidates = [
        CELL_LIMITS[c] for c in possible_chemistries(chemistry, discharging_v)
    ]
    return CellLimits(
        min(c.max_v for c in candidates), max(c.min_v for c in candidates)
    )


def chemistry_reasons(
    chemistry: str, telling_v: float | None, *, deep: bool, limited: bool
) -> tuple[Reason, ...]:
    """Return what the data say of the declared chemistry, or of its absence.

    Parameters
    ----------
    chemistry : as declared
    telling_v : as `discharging_v` of :func:`possible_chemistries`
    deep : True if it comes from a deep discharge
    limited : True if the unit is beyond a voltage limit of its chemistry

    Returns
    -------
    A declaration that the discharge rules out is not met, which is a hit of the hold
    floor: the limits of a unit that is not what it is called are unknown. One that is
    merely unlike the discharge is remarked on: a resistive cell looks like LFP.
    """
    declared = declared_chemistries(chemistry)
    if not declared:
        stated = (
            f"chemistry {chemistry!r} is not one of {', '.join(CELL_LIMITS)}"
            if chemistry
            else "chemistry not stated: add chemistry to units.toml"
        )
        possible = possible_chemistries(chemistry, telling_v)
        reason = Reason(
            "hold_chemistry_declared",
            Outcome.MISSING,
            "chemistry",
            route=str(Route.QUARANTINE) if limited else "",
            message=f"{stated}, so the strictest voltage limits of those its "
            f"discharge allows ({', '.join(possible)}) apply: declare chemistry in "
            'units.toml (e.g. chemistry = "NMC") and grade again',
        )
        return (reason,)
    if telling_v is None:
        return ()
    given = f"a tenth of the discharge was given above {telling_v:.3g} V"
    for name in declared:
        limit = EXCLUDED_ABOVE_V.get(name, float("inf"))
        if deep and telling_v > limit:
            return (
                Reason(
                    "hold_chemistry_declared",
                    Outcome.NOT_MET,
                    "chemistry",
                    telling_v,
                    telling_v,
                    limit,
                    "V",
                    str(Route.QUARANTINE),
                    f"declared {chemistry}, but {given} per cell, which {name} cannot "
                    f"({limit:g} V): the label, the scale of the voltage or "
                    "cells_in_series is wrong; find out which before it is charged",
                ),
            )
    flat_v = EXCLUDED_ABOVE_V["LFP"]
    if deep and telling_v <= flat_v and not {"LFP", "LTO"} & set(declared):
        message = (
            f"declared {chemistry}, but less than a tenth of the discharge was given "
            f"above {flat_v:g} V per cell, as LFP or a very resistive cell would: "
            "check the label before it is charged beyond 3.65 V"
        )
        return (
            Reason(
                "hold_chemistry_declared",
                Outcome.MISSING,
                "chemistry",
                message=message,
            ),
        )
    return (
        Reason(
            "hold_chemistry_declared",
            Outcome.MET,
            "chemistry",
            message=f"the discharge does not contradict {chemistry}",
        ),
    )
