"""One trace per method that supports it, for the shared estimator tests.

A line of SAMPLES: method -> (settings, model or None, trace(provenance), pack). The
trace must be one on which every estimate is accepted.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import charge_samples
import eis_samples
import filter_samples
import knee_samples
import lot_samples
import pack_samples
import pulse_samples
import rest_samples
import slow_samples
import spectrum_samples
from battlife.model import Pack, Provenance, Trace
from battlife.model.learned import Model

PACK = Pack(
    "cell",
    nominal_ah=2.0,
    nominal_wh=7.4,
    cutoff_v=2.7,
    sensor={"current_a": 0.004, "voltage_v": 0.002},
    calibration="rig 1",
)
SAMPLE_S = 0.5
"""Fine enough for every method that takes :func:`cycle`."""


def cycle(provenance: Provenance = Provenance()) -> Trace:  # noqa: B008 (frozen)
    """Return rest, a charge, rest and a full discharge of a 2 Ah cell."""
    zero = np.zeros(200)
    load = np.full(7200, 2.0)
    current = np.concatenate([zero, load, zero, -load, zero])
    time = np.arange(current.size) * SAMPLE_S
    mean = np.concatenate([[0.0], (current[1:] + current[:-1]) / 2])
    soc = np.clip(np.cumsum(mean * SAMPLE_S) / 7200, 0, 1)
    columns = {
        "current_a": current,
        "voltage_v": 3.0 + 1.2 * soc - 0.6 * np.exp(-20 * soc) + 0.05 * current,
        "temperature_degc": np.full(current.size, 25.0),
    }
    return Trace("cell", None, time, [0], columns, provenance=provenance)


class Sample(NamedTuple):
    """What a method is tried on."""

    settings: dict[str, str] = {}
    model: Callable[[], Model] | None = None
    trace: Callable[..., Trace] = cycle
    pack: Pack = PACK


SAMPLES: dict[str, Sample] = {
    "capacity": Sample(),
    "awtls": Sample(model=filter_samples.model, trace=filter_samples.rested),
    "soc_ekf": Sample(model=filter_samples.model, trace=filter_samples.drive),
    "soc_spkf": Sample(model=filter_samples.model, trace=filter_samples.drive),
    "dcir": Sample(),
    "dva": Sample({}, None, slow_samples.slow, slow_samples.PACK),
    "ica": Sample({}, None, slow_samples.slow, slow_samples.PACK),
    "ocv_fit": Sample(
        {
            "positive": str(slow_samples.POSITIVE),
            "negative": str(slow_samples.NEGATIVE),
        },
        None,
        slow_samples.slow,
        slow_samples.PACK,
    ),
    "ecm": Sample(trace=pulse_samples.pulses_only),
    "power": Sample({"min_v": "3.3", "max_v": "4.2"}, trace=pulse_samples.whole_test),
    "eis": Sample(trace=eis_samples.sample),
    "knee": Sample(trace=knee_samples.ageing),
    "self_discharge": Sample({"ocv_slope_v_per_ah": "0.4"}, trace=rest_samples.charged),
    "spread": Sample(trace=pack_samples.driven),
    "anomaly": Sample(trace=pack_samples.cycled),
    "pulse": Sample({}, lot_samples.model, lot_samples.pulse_test),
    "partial_charge": Sample(
        {}, charge_samples.model, charge_samples.sample, charge_samples.PACK
    ),
    "impedance_soh": Sample(
        {}, spectrum_samples.model, spectrum_samples.sample, spectrum_samples.PACK
    ),
}
