"""Calibrate a cell: an OCV test and a dynamic test to the Model of a filter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from battlife.errors import EstimateError
from battlife.estimators._cell_fit import (
    OHMIC_KNOTS,
    Polarisation,
    fit,
    joined,
)
from battlife.estimators._cell_model import (
    ALIGNED,
    DOUBT,
    HYSTERESIS_RATE,
    LEAST_V,
    METHODS,
    REFERENCE_DEGC,
    UNSEEN_GAP_V,
    CellModel,
    bare_curve,
    cell_of,
)
from battlife.estimators._cell_records import (
    SOC,
    CellRecord,
    cell_record,
    upper_branch,
)
from battlife.model import Column, Pack, Trace
from battlife.model.learned import Model
from battlife.model.provenance import Source

__all__ = [
    "METHODS",
    "CellFit",
    "calibrate_cell_model",
    "esc_cell_model",
    "identified",
]

ESC_LEVEL: Final = 0.65
"""Of the hysteresis of an ESC model, what may as well be slow polarisation, which it
does not have: that of the E2 cell is 44 mV at 25 degC, where a charge and a drive
cycle of the cell are 2 times 16 mV apart (1 - 16 / 44)."""
MISALIGNED_V: Final = 0.02
"""Most of it: on the steep ends it is the state of charge that is off, which the bounds
count anyway. As an error of the curve it would let a filter that began near empty
explain any voltage."""
R_SHARE: Final = 0.1
"""Of the polarisation at constant current after a fit to a drive cycle: the A123 cell
was off by 6 and 10 % at 1C."""


@dataclass(frozen=True)
class CellFit:
    """How one record was described.

    Attributes
    ----------
    unit : id of the trace
    kind : "ocv" or "dynamic"
    n_samples : samples fitted
    temperature_degc : mean of the record, None if unknown
    rmse_v : residual of the fit in V, 0 for an OCV test, which is taken as it is
    half_rmse_v : rms in V on blocks that were left out
    capacity_ah : between the lowest and the highest charge of the record
    """

    unit: str
    kind: str
    n_samples: int
    temperature_degc: float | None
    rmse_v: float
    half_rmse_v: float
    capacity_ah: float


def calibrate_cell_model(
    units: Sequence[tuple[Trace, Pack]],
    *,
    estimator: str = "soc_ekf",
    capacity_ah: float | None = None,
    base: Model | None = None,
    software: str = "",
) -> tuple[Model, tuple[CellFit, ...]]:
    """Make the model of one type of cell from its records.

    Parameters
    ----------
    units : a dynamic test from full to empty and, where there is one, an OCV test
        (one slow charge or discharge over the whole range), in any order
    estimator : method it is for; all of METHODS take it
    capacity_ah : Ah, overrules that of the records
    base : a model of the same cell over temperature: gives the ratios of resistances
        and capacities between temperatures and the entropy of the curve
    software : battlife version

    Raises
    ------
    EstimateError
        No record from full to empty with a changing current; a wrong sign; a gap.
    """
    based = cell_of(base) if base is not None else None
    records = [cell_record(trace, pack, based) for trace, pack in units]
    dynamic = next((r for r in records if not r.slow), None)
    ocv = next((r for r in records if r.slow), None)
    if dynamic is None:
        raise EstimateError(
            "none of the records is a dynamic test from full to empty",
            "add a drive cycle or pulses that begin full",
            ("dynamic_missing",),
        )
    capacity = capacity_ah or (ocv or dynamic).capacity_ah
    share = 1.0 + (dynamic.whole.charge_ah - dynamic.whole.charge_ah[dynamic.top]) / (
        capacity
    )
    branch = upper_branch(ocv, records)
    found, gap = _fitted(dynamic, branch, share, capacity)
    cell = _cell(found, gap, dynamic, ocv, branch, capacity, based)
    fits = tuple(_fit_of(r, found) for r in records)
    sources = tuple(s for t, _ in units for s in t.provenance.sources)
    sources += base.sources if base is not None else ()
    return cell.to_model(estimator, sources, software), fits


def _fit_of(record: CellRecord, found: Polarisation) -> CellFit:
    return CellFit(
        record.trace.unit_id,
        "ocv" if record.slow else "dynamic",
        record.trace.n_samples if record.slow else found.n,
        record.degc,
        0.0 if record.slow else found.rmse_v,
        0.0 if record.slow else found.left_out_v,
        record.capacity_ah,
    )


def _fitted(
    dynamic: CellRecord,
    branch: tuple[Column, Column, Column] | None,
    share: Column,
    capacity_ah: float,
) -> tuple[Polarisation, Column]:
    """Return the fit of the dynamic test, and (m,) V half the gap of the branches.

    The gap comes from a charge, which runs along one branch, against the other one
    that the dynamic test shows; without it, from the loops of the dynamic test.
    """
    from battlife.kernels.cell_filter import hysteresis_share

    whole = dynamic.whole
    beside = hysteresis_share(whole.charge_ah, HYSTERESIS_RATE / capacity_ah, 0.0)
    part = (dynamic.top, dynamic.bottom + 1)
    if branch is None:
        found = fit(whole, share, *part, beside)
        return found, np.full(SOC.size, found.hysteresis_v)
    first = fit(whole, share, *part, beside, branch)
    gap = _half_gap(first, branch)
    bare = whole.voltage_v - np.interp(share, SOC, gap) * beside
    between = (branch[0], branch[1] - gap, branch[2])
    return fit(replace(whole, voltage_v=bare), share, *part, slow=between), gap


def _cell(
    found: Polarisation,
    gap: Column,
    dynamic: CellRecord,
    ocv: CellRecord | None,
    branch: tuple[Column, Column, Column] | None,
    capacity_ah: float,
    base: CellModel | None,
) -> CellModel:
    soc = SOC
    shape0 = float(np.interp(0.5, OHMIC_KNOTS, found.r0_ohm))
    degc = dynamic.degc if dynamic.degc is not None else REFERENCE_DEGC
    middle = np.maximum.accumulate(np.interp(soc, found.knots, found.ocv_v))
    level = float(np.median(gap))
    unseen = UNSEEN_GAP_V
    if branch is not None:
        r_total = float(np.median(found.r0_ohm)) + float(found.rc_ohm.sum())
        unseen = 0.5 * R_SHARE * r_total * float(np.median(branch[2]))
    error = np.sqrt(
        found.lasting_v**2 + LEAST_V**2 + unseen**2 + _misaligned(soc, middle) ** 2
    )
    whole, part = dynamic.whole, (dynamic.top, dynamic.bottom)
    hours = float(whole.time_s[part[1]] - whole.time_s[part[0]]) / 3600.0
    load = float(whole.charge_ah[part[1]] - whole.charge_ah[part[0]]) / hours
    one = np.ones(1)
    records = [r for r in (dynamic, ocv) if r is not None]
    made = CellModel(
        soc=soc,
        ocv_v=middle,
        ocv_v_per_k=np.zeros(soc.size) if base is None else _like(base, soc),
        gap_shape=gap / level if level > 0 else np.zeros(soc.size),
        r0_shape=np.interp(soc, OHMIC_KNOTS, found.r0_ohm) / shape0,
        error_v=error,
        temperature_degc=degc * one,
        r0_ohm=shape0 * one,
        rc_ohm=found.rc_ohm[None],
        rc_s=found.rc_s[None],
        hysteresis_v=level * one,
        hysteresis_rate=HYSTERESIS_RATE * one,
        capacity_ah=capacity_ah * one,
        efficiency=one if base is None else np.array([base.at(degc).efficiency]),
        doubt_v=0.0 * one,
        r_doubt=0.0 * one,
        load_a=load,
        range_v=(
            float(min(np.nanmin(r.whole.voltage_v) for r in records)),
            float(max(np.nanmax(r.whole.voltage_v) for r in records)),
        ),
        chemistry=dynamic.pack.chemistry or (base.chemistry if base else ""),
    )
    return made if base is None else _over_temperature(made, base, degc)


def _like(base: CellModel, soc: Column) -> Column:
    values: Column = np.interp(soc, base.soc, base.ocv_v_per_k)
    return values


def _misaligned(soc: Column, ocv_v: Column) -> Column:
    """Return (m,) V, what a state of charge that is off by ALIGNED makes of a curve."""
    ahead = np.interp(soc + ALIGNED, soc, ocv_v)
    behind = np.interp(soc - ALIGNED, soc, ocv_v)
    return np.minimum(0.5 * np.abs(ahead - behind), MISALIGNED_V)


def _half_gap(found: Polarisation, slow: tuple[Column, Column, Column]) -> Column:
    """Return (m,) V from the curve between the branches up to the slow charge."""
    soc, volt, current = slow
    r0 = np.interp(soc, OHMIC_KNOTS, found.r0_ohm) + found.rc_ohm.sum()
    middle = np.interp(soc, found.knots, found.ocv_v)
    above = np.clip(volt - current * r0 - middle, 0.0, None)
    inner = (soc > 0.1) & (soc < 0.9)
    # Beyond, what is apart is the alignment of a steep curve, not hysteresis.
    edge = np.interp(soc, soc[inner], above[inner])
    window = np.ones(11) / 11.0
    smooth: Column = np.convolve(np.pad(edge, 5, mode="edge"), window, mode="valid")
    return smooth


def _over_temperature(made: CellModel, base: CellModel, degc: float) -> CellModel:
    """Return `made`, measured at one temperature, over those of `base`."""
    here = base.at(degc)
    known = base.temperature_degc
    base_level = float(here.curves[1].mean())
    ratios = []
    shape_middle = here.curves.shape[1] // 2
    total = float(here.curves[2, shape_middle]) + sum(r for r, _ in here.rc)
    for t in known:
        there = base.at(float(t))
        ratios.append(
            (float(there.curves[2, shape_middle]) + sum(r for r, _ in there.rc)) / total
        )
    ratio = np.array(ratios)
    scale = made.capacity_ah[0] / here.capacity_ah
    # The level of the base differs between temperatures. Whether
    # hysteresis itself moves no record of these says: it stays, and this is doubt.
    moved = base.hysteresis_v - base_level
    return replace(
        made,
        temperature_degc=known,
        r0_ohm=made.r0_ohm[0] * ratio,
        rc_ohm=made.rc_ohm[0] * ratio[:, None],
        rc_s=np.repeat(made.rc_s, known.size, axis=0),
        hysteresis_v=np.repeat(made.hysteresis_v, known.size),
        doubt_v=np.abs(moved),
        r_doubt=DOUBT * np.abs(np.log(ratio)),
        hysteresis_rate=np.repeat(made.hysteresis_rate, known.size),
        capacity_ah=base.capacity_ah * scale,
        efficiency=base.efficiency,
    )


def esc_cell_model(
    numbers: Mapping[str, Column], source: Source, software: str = ""
) -> Model:
    """Return the Model of an ESC model's numbers.

    Parameters
    ----------
    numbers : arrays by their names in the file: SOC, OCV0, OCVrel (m,); temps, QParam,
        etaParam, GParam, MParam, M0Param, R0Param, RParam, RCParam (k,)
    source : the file they were read from

    Raises
    ------
    InputError
        They do not describe a cell.
    """
    soc = numbers["SOC"]
    ocv = numbers["OCV0"] + REFERENCE_DEGC * numbers["OCVrel"]
    level = np.abs(numbers["MParam"]) + np.abs(numbers["M0Param"])
    one = np.ones(soc.size)
    cell = CellModel(
        soc=soc,
        ocv_v=ocv,
        ocv_v_per_k=numbers["OCVrel"],
        gap_shape=one,
        r0_shape=one,
        error_v=np.hypot(LEAST_V, _misaligned(soc, ocv)),
        temperature_degc=numbers["temps"],
        r0_ohm=np.abs(numbers["R0Param"]),
        rc_ohm=np.abs(numbers["RParam"])[:, None],
        rc_s=np.abs(numbers["RCParam"])[:, None],
        hysteresis_v=(1.0 - ESC_LEVEL) * level,
        hysteresis_rate=np.clip(numbers["GParam"], 5.0, 250.0),
        capacity_ah=numbers["QParam"],
        efficiency=np.clip(numbers["etaParam"], 0.5, 1.0),
        doubt_v=ESC_LEVEL * level,
        r_doubt=np.zeros(level.size),
        range_v=(float(ocv.min()), float(ocv.max())),
    )
    return cell.to_model("soc_ekf", (source,), software)


def identified(
    trace: Trace,
    pack: Pack,
    span: slice,
    soc: Column,
    ocv_v: Column,
    capacity_ah: float,
) -> CellModel:
    """Return a cell of a known curve whose resistances the record itself gives.

    The charge passed, not the state of charge, is the axis of the fit, so nothing of
    where on the curve the record lies goes into the resistances.

    Parameters
    ----------
    soc, ocv_v : (m,) the curve, in V of one cell
    capacity_ah : Ah

    Raises
    ------
    EstimateError
        The current is missing, or changes too little to tell.
    """
    whole = joined(trace, pack.cells_in_series or 1)
    charge = whole.charge_ah
    part = charge[span]
    share = (charge - part.min()) / max(float(np.ptp(part)), 1e-9)
    found = fit(whole, share, span.start, span.stop)
    bare = bare_curve(soc, ocv_v)
    level = found.lasting_v
    return replace(
        bare,
        error_v=np.sqrt(bare.error_v**2 + level**2),
        r0_ohm=np.array([float(np.median(found.r0_ohm))]),
        rc_ohm=found.rc_ohm[None],
        rc_s=found.rc_s[None],
        capacity_ah=np.array([capacity_ah]),
    )
