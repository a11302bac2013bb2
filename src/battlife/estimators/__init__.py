"""One module per method: Trace and Pack to Estimates, thin over kernels.

``ESTIMATORS`` is a literal dict and deliberately not entry points: an installed
plugin must not change a grade. A method's module is imported when it is built, so
that looking at the list loads neither Numba nor SciPy.
"""

import math
import types
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

from battlife.errors import InputError
from battlife.model import Estimator

if TYPE_CHECKING:
    from battlife.model.learned import Model

__all__ = ["DESCRIPTIONS", "ESTIMATORS", "build", "options_of", "takes_model"]

ESTIMATORS: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "awtls": "battlife.estimators.awtls:TotalCapacity",
        "capacity": "battlife.estimators.capacity:DischargeCapacity",
        "dcir": "battlife.estimators.dcir:PulseResistance",
        "soc_ekf": "battlife.estimators.soc_ekf:ExtendedFilter",
        "soc_spkf": "battlife.estimators.soc_spkf:SigmaPointFilter",
        "knee": "battlife.estimators.knee:RemainingLife",
        "self_discharge": "battlife.estimators.self_discharge:SelfDischarge",
        "spread": "battlife.estimators.spread:CellSpread",
        "anomaly": "battlife.estimators.anomaly:Anomaly",
        "dva": "battlife.estimators.dva:DifferentialVoltage",
        "ica": "battlife.estimators.ica:IncrementalCapacity",
        "ocv_fit": "battlife.estimators.ocv_fit:HalfCellFit",
        "ecm": "battlife.estimators.ecm:PulseCircuit",
        "eis": "battlife.estimators.eis:ImpedanceSpectrum",
        "power": "battlife.estimators.power:PowerCapability",
        "pulse": "battlife.estimators.pulse:PulseHealth",
        "partial_charge": "battlife.estimators.partial_charge:PartialCharge",
        "impedance_soh": "battlife.estimators.impedance_soh:ImpedanceHealth",
    }
)
"""Method name to "module:Class"."""

DESCRIPTIONS: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "capacity": "capacity and energy of each discharge down to a cut-off voltage",
        "awtls": "total capacity from rests: charge over change of state of charge",
        "soc_ekf": "state of charge over time with bounds: extended Kalman filters",
        "soc_spkf": "state of charge over time with bounds: sigma-point filters",
        "dcir": "DC resistance at stated times after a current step",
        "knee": "knee of the capacity over cycles, and cycles left to a threshold",
        "self_discharge": "self-discharge from long rests and from storage",
        "spread": "spread of a pack's cells: weak cell, sense wire, lost string",
        "anomaly": "leaking or outlying cell, stuck value, BMS against its own record",
        "dva": "differential voltage dV/dQ of each slow half-cycle and its peaks",
        "ica": "incremental capacity dQ/dV of each slow half-cycle and its peaks",
        "ocv_fit": "electrode capacities, LLI and LAM by aligning half-cell curves",
        "ecm": "R0 and RC pairs of each pulse, corrected to a reference temperature",
        "eis": "impedance spectra: validity, equivalent circuit, relaxation times",
        "power": "discharge and charge power at 80 % and 20 % SOC from pulses",
        "pulse": "state of health from a pulse test, by the model of a lot",
        "partial_charge": "the same from a charge through a window of voltage",
        "impedance_soh": "the same from an impedance spectrum",
    }
)
"""One line per method, for lists."""


def build(
    name: str,
    settings: Mapping[str, str] | None = None,
    model: "Model | None" = None,
) -> Estimator:
    """Return the method `name` with its options set from text.

    Parameters
    ----------
    name : a key of ESTIMATORS
    settings : option name to value as written on the command line; numbers, "none",
        and comma-separated numbers for an option that takes several
    model : what a calibration produced, for a method with a field of that name

    Raises
    ------
    InputError
        Unknown method, unknown option, a value that is not of its type, or a model for
        a method that takes none.
    """
    kind = _class(name)
    hints = _options(kind)
    values: dict[str, Any] = {}
    for key, text in (settings or {}).items():
        if key not in hints:
            raise InputError(
                f"method {name!r} has no option {key!r}",
                f"its options: {', '.join(sorted(hints))}",
            )
        values[key] = _parsed(name, key, text, hints[key])
    if model is not None:
        if not takes_model(name):
            raise InputError(
                f"method {name!r} takes no model",
                f"those that do: {', '.join(filter(takes_model, sorted(ESTIMATORS)))}",
            )
        values["model"] = model
    built: Estimator = kind(**values)
    return built


def options_of(name: str) -> tuple[str, ...]:
    """Return the names of a method's options, sorted."""
    return tuple(sorted(_options(_class(name))))


def takes_model(name: str) -> bool:
    """Say whether a method works with a Model, the result of a calibration."""
    return any(field.name == "model" for field in fields(_class(name)))


def _class(name: str) -> Any:
    if name not in ESTIMATORS:
        raise InputError(
            f"unknown method {name!r}", f"known: {', '.join(sorted(ESTIMATORS))}"
        )
    module, _, kind = ESTIMATORS[name].partition(":")
    return getattr(import_module(module), kind)


def _options(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind) if f.name != "model"}


def _parsed(method: str, key: str, text: str, hint: Any) -> Any:
    """Return `text` as the type a field declares."""
    optional = type(None) in get_args(hint)
    if optional and text.strip().lower() in {"none", ""}:
        return None
    if get_origin(hint) is tuple:
        return tuple(_number(method, key, part) for part in text.split(","))
    if hint is str or str in get_args(hint):
        return text
    return _number(method, key, text)


def _number(method: str, key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"method {method!r}: {key}={text!r} is not a number",
            "write it with a decimal point, without a unit",
        )
    return value
