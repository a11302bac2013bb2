"""Which methods a grade runs on a trace, and why it leaves out the others."""

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from battlife.model import Pack, Trace
from battlife.model.learned import Model

Need: TypeAlias = Callable[[Trace, Pack], str]
"""Returns why a trace cannot support a method, "" where it may: cheap, and without
loading a kernel."""

FEWEST_CELLS: Final = 2
FEWEST_DISCHARGES: Final = 10
"""Full cycles below which nothing is said of a trajectory: the method refuses anyway,
and so its kernels are not loaded for a log of one test."""
LONG_REST_S: Final = 6 * 3600.0
"""Shorter rests are ruled by relaxation, not by self-discharge."""


@dataclass(frozen=True)
class Chosen:
    """What a grade runs.

    Attributes
    ----------
    methods : in order
    left_out : method to the reason it is not run
    """

    methods: tuple[str, ...]
    left_out: Mapping[str, str]


def choose(trace: Trace, pack: Pack, model: Model | None) -> Chosen:
    """Return the methods that a trace may support.

    Parameters
    ----------
    trace, pack : the unit
    model : what a calibration made, for the method it is for
    """
    methods: list[str] = []
    left_out: dict[str, str] = dict(_ON_REQUEST)
    for name, need in _NEEDS.items():
        why = need(trace, pack)
        if why:
            left_out[name] = why
        else:
            methods.append(name)
    for name in SCREENING:
        if model is not None and model.estimator == name:
            methods.append(name)
        else:
            left_out[name] = "no model for it was given (--model)"
    if model is not None and model.estimator in CELL_MODELS:
        methods.append("awtls")
        del left_out["awtls"]
    return Chosen(tuple(methods), types.MappingProxyType(left_out))


def model_for(method: str, model: Model | None) -> Model | None:
    """Return the model for a method, None where it was made for another one."""
    if model is None or model.estimator == method:
        return model
    return model if method == "awtls" and model.estimator in CELL_MODELS else None


def _always(trace: Trace, pack: Pack) -> str:
    return ""


def _cells(trace: Trace, pack: Pack) -> str:
    cells = trace.columns.get("cell_voltage_v")
    if cells is None or cells.shape[0] < FEWEST_CELLS:
        return "the log has no voltages of single cells"
    return ""


def _spectra(trace: Trace, pack: Pack) -> str:
    return "" if trace.spectra else "the log has no impedance spectrum"


def _claims(trace: Trace, pack: Pack) -> str:
    if "reported_soh" in trace.columns or not _cells(trace, pack):
        return ""
    return "the log has neither voltages of single cells nor claims of a BMS"


def _long_rest(trace: Trace, pack: Pack) -> str:
    current = trace.columns.get("current_a")
    if not trace.n_samples or current is None or "voltage_v" not in trace.columns:
        return "the log has no current or no voltage"
    largest = np.nanmax(np.abs(current), initial=0.0)
    loaded = np.abs(current) > 1e-3 * largest
    marks = np.concatenate([trace.time_s[loaded], trace.time_s[[0, -1]]])
    marks.sort()
    if not np.isfinite(largest) or np.diff(marks).max(initial=0.0) < LONG_REST_S:
        return f"the log has no rest of {LONG_REST_S / 3600:g} h"
    return ""


def _many_discharges(trace: Trace, pack: Pack) -> str:
    current = trace.columns.get("current_a")
    if current is None or not trace.n_samples:
        return "the log has no current"
    moving = current[np.abs(current) > 0.05 * np.nanmax(np.abs(current), initial=0.0)]
    turns = np.count_nonzero((moving[:-1] > 0) & (moving[1:] < 0))
    if turns < FEWEST_DISCHARGES:
        return f"the log has fewer than {FEWEST_DISCHARGES} discharges"
    return ""


_NEEDS: Final[Mapping[str, Need]] = types.MappingProxyType(
    {
        "capacity": _always,
        "dcir": _always,
        "spread": _cells,
        "anomaly": _claims,
        "self_discharge": _long_rest,
        "eis": _spectra,
        "knee": _many_discharges,
    }
)
"""Methods of a grade, in order, with what each needs."""

SCREENING: Final[tuple[str, ...]] = ("pulse", "partial_charge", "impedance_soh")
"""Methods that estimate a state of health with a model."""

CELL_MODELS: Final[tuple[str, ...]] = ("soc_ekf", "soc_spkf", "awtls")
"""Estimators of a model of the cell, which gives the total capacity between rests."""

_ON_REQUEST: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "power": "needs voltage limits: battlife estimate --method power",
        "ecm": "decides no route: battlife estimate --method ecm",
        "ica": "decides no route: battlife estimate --method ica",
        "dva": "decides no route: battlife estimate --method dva",
        "ocv_fit": "needs half-cell curves: battlife estimate --method ocv_fit",
        "soc_ekf": "needs a model of the cell: battlife estimate --method soc_ekf",
        "soc_spkf": "needs a model of the cell: battlife estimate --method soc_spkf",
        "awtls": "needs a model of the cell: battlife estimate --method awtls",
    }
)
"""Methods that decide no route by themselves, and how to run them."""
