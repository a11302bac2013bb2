"""What is known of one discharge before it is compared with its neighbours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from battlife.model import Measurement, Pack
from battlife.model.estimate import Scalar

REFERENCE_DEGC = 25.0
"""Where the pack states none: room temperature of IEC 62660-1:2018, 4.4 and
IEC 61960-3; recorded as assumed."""
TEMPERATURE_TOLERANCE_K = 5.0
"""A capacity this far from the reference still counts as taken there: capacity of
lithium-ion cells changes by 0.2 to 0.5 % per K near 25 degC, so 5 K costs at most
the 2 % by which cells of one lot differ anyway."""
RATE_TOLERANCE = 0.10
"""Loads within 10 % are comparable: Leaf 1C and 2C capacities differ by 1.3 %."""
NEIGHBOURS = 15
"""Discharges around one that it is compared with, itself included."""
FEWEST = 5
"""Comparable discharges without which no median is formed."""
UNLIKE_SHARE = 0.04
"""Deviation from the neighbours' median, as a share of the unit's largest capacity,
from which an incomplete charge explains it: ageing moves a cell 0.1 % per cycle, a
constant-current charge without its taper leaves 4 to 15 % out."""
UNLIKE_ALONE = 0.25
"""Deviation from the neighbours' median, as a share of it, that is remarked on
without any other sign of trouble."""
EARLY_END = 3.0
"""A charge that ended at this many times the usual end current missed its taper."""


DOUBTS = frozenset(
    {
        "cutoff_at_load_on",
        "implausibly_small",
        "not_from_full",
        "charge_ended_early",
    }
)
"""Findings that refuse what may be a piece of a discharge, and qualify what the source
declares to be one: the charge it gave is then true, but no measure of its health."""


@dataclass(frozen=True)
class Draft:
    """One discharge, measured but not yet compared.

    Attributes
    ----------
    index : of the discharge in the unit, from 0
    segment : of the trace, None if it has no samples
    start, stop : half-open range of samples
    refusals : reason codes that forbid a value, worst first
    qualifiers : reason codes that go with a value
    measurements, conditions : as in Estimate
    capacity_ah : Ah, NaN if none
    rate_a : current while loaded in A, unsigned, NaN if none
    condition_degc : ambient temperature, else that at the start, NaN if unknown
    charge_end_a : current at which the charge before ended, NaN if unknown
    declared : True if the source itself states what this discharge gave
    """

    index: int
    segment: int | None = None
    start: int = 0
    stop: int = 0
    refusals: tuple[str, ...] = ()
    qualifiers: tuple[str, ...] = ()
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    conditions: Mapping[str, Scalar] = field(default_factory=dict)
    capacity_ah: float = float("nan")
    rate_a: float = float("nan")
    condition_degc: float = float("nan")
    charge_end_a: float = float("nan")
    declared: bool = False


def temperature_remarks(
    condition_degc: float, pack: Pack
) -> tuple[tuple[str, ...], dict[str, Scalar]]:
    """Return qualifiers and conditions that say how a temperature compares."""
    assumed = pack.reference_degc is None
    reference = REFERENCE_DEGC if pack.reference_degc is None else pack.reference_degc
    conditions: dict[str, Scalar] = {
        "reference_degc": reference,
        "reference_source": "assumed: room temperature of IEC 62660-1"
        if assumed
        else "pack",
    }
    if not np.isfinite(condition_degc):
        return ("temperature_unknown",), conditions
    if abs(condition_degc - reference) > TEMPERATURE_TOLERANCE_K:
        return ("not_at_reference_temperature",), conditions
    return (), conditions


def compared(drafts: Sequence[Draft]) -> tuple[Draft, ...]:
    """Return the drafts with what only their neighbours can tell.

    A discharge after a charge that ended at a much higher current than usual, and
    whose capacity differs from its neighbours', did not start from full. Loads and
    temperatures that differ within the unit are remarked on every one.
    """
    ok = [d for d in drafts if not d.refusals and np.isfinite(d.capacity_ah)]
    if not ok:
        return tuple(drafts)
    largest = max(d.capacity_ah for d in ok)
    ends = np.array([d.charge_end_a for d in drafts])
    ends = ends[np.isfinite(ends)]
    usual_end = float(np.median(ends)) if ends.size >= 3 else float("nan")
    mixed = _mixed(ok)
    neighbours = _Neighbours(ok)
    result = []
    for draft in drafts:
        if draft.refusals:
            result.append(draft)
            continue
        median = neighbours.median_ah(draft)
        off = abs(draft.capacity_ah - median)
        early = draft.charge_end_a > EARLY_END * usual_end
        refusals: tuple[str, ...] = ()
        remarks = (*draft.qualifiers, *mixed)
        if early and off > UNLIKE_SHARE * largest:
            found = ("not_from_full", "charge_ended_early")
            if draft.declared:
                remarks += found
            else:
                refusals = found
        elif early:
            remarks += ("charge_ended_early",)
        if off > UNLIKE_ALONE * median:
            remarks += ("unlike_neighbours",)
        result.append(replace(draft, refusals=refusals, qualifiers=remarks))
    return tuple(result)


class _Neighbours:
    """The usable discharges of a unit as arrays, in order of their index."""

    def __init__(self, ok: Sequence[Draft]) -> None:
        self.index = np.array([d.index for d in ok])
        self.rate_a = np.array([d.rate_a for d in ok])
        self.degc = np.array([d.condition_degc for d in ok])
        self.capacity_ah = np.array([d.capacity_ah for d in ok])

    def median_ah(self, draft: Draft) -> float:
        """Return the median capacity around a draft, NaN of fewer than FEWEST.

        Of those under like load and temperature; what is unknown is like any.
        """
        apart_a = np.abs(self.rate_a - draft.rate_a)
        other = apart_a > RATE_TOLERANCE * np.maximum(self.rate_a, draft.rate_a)
        other |= np.abs(self.degc - draft.condition_degc) > TEMPERATURE_TOLERANCE_K
        alike = np.flatnonzero(~other)
        if alike.size < FEWEST:
            return float("nan")
        # Ties go to the earlier one: the sort is stable.
        order = np.argsort(np.abs(self.index[alike] - draft.index), kind="stable")
        return float(np.median(self.capacity_ah[alike[order[:NEIGHBOURS]]]))


def _mixed(ok: Sequence[Draft]) -> tuple[str, ...]:
    rates = [d.rate_a for d in ok]
    degc = [d.condition_degc for d in ok if np.isfinite(d.condition_degc)]
    remarks: tuple[str, ...] = ()
    if min(rates) < (1 - RATE_TOLERANCE) * max(rates):
        remarks += ("mixed_loads",)
    if degc and max(degc) - min(degc) > TEMPERATURE_TOLERANCE_K:
        remarks += ("mixed_temperatures",)
    return remarks
