"""Propagation of sensor uncertainty into charge, energy and ratios (k = 1).

Offsets and gains of a sensor are systematic: the same error in every sample of a
record, so they add linearly within a record and in squares across causes (GUM,
JCGM 100:2008, 5.1 and F.1.2). The rounding of the recorder is treated as systematic
too, which overstates it: on a constant current every sample is rounded the same way.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

SECONDS_PER_HOUR = 3600.0
RECTANGULAR = math.sqrt(12.0)
"""A value known to lie in an interval of width w has u = w / sqrt(12)."""


@dataclass(frozen=True)
class Sensor:
    """Standard uncertainties of a rig's channels.

    Attributes
    ----------
    current_a, voltage_v, time_s : offset in A, V, s; 0 where not stated
    current_relative, voltage_relative : gain, a fraction; 0 where not stated
    current_known, voltage_known : whether anything is stated of the channel
    """

    current_a: float
    voltage_v: float
    time_s: float
    current_relative: float
    voltage_relative: float
    current_known: bool
    voltage_known: bool

    @classmethod
    def of(cls, sensor: Mapping[str, float]) -> "Sensor":
        """Return the uncertainties a Pack states."""
        return cls(
            current_a=sensor.get("current_a", 0.0),
            voltage_v=sensor.get("voltage_v", 0.0),
            time_s=sensor.get("time_s", 0.0),
            current_relative=sensor.get("current_relative", 0.0),
            voltage_relative=sensor.get("voltage_relative", 0.0),
            current_known="current_a" in sensor or "current_relative" in sensor,
            voltage_known="voltage_v" in sensor or "voltage_relative" in sensor,
        )


def root_sum(*terms: float) -> float:
    """Return the root of the sum of squares."""
    return math.hypot(*terms)


def charge_uncertainty(
    sensor: Sensor,
    charge_ah: float,
    duration_s: float,
    current_resolution_a: float,
    *other_ah: float,
) -> float | None:
    """Return u of a charge in Ah, None where the current sensor is unknown.

    Parameters
    ----------
    sensor : of the rig
    charge_ah : Ah, unsigned
    duration_s : s over which the offset acts
    current_resolution_a : A, quantum of the recorded current
    other_ah : further independent standard uncertainties in Ah (edges, cut-off)
    """
    if not sensor.current_known:
        return None
    hours = duration_s / SECONDS_PER_HOUR
    mean_a = charge_ah / hours if hours > 0 else 0.0
    return root_sum(
        sensor.current_a * hours,
        sensor.current_relative * charge_ah,
        current_resolution_a / RECTANGULAR * hours,
        math.sqrt(2.0) * sensor.time_s / SECONDS_PER_HOUR * mean_a,
        *other_ah,
    )


def energy_uncertainty(
    sensor: Sensor,
    energy_wh: float,
    charge_ah: float,
    duration_s: float,
    current_resolution_a: float,
    voltage_resolution_v: float,
    *other_wh: float,
) -> float | None:
    """Return u of an energy in Wh, None where a sensor is unknown.

    A current offset acts on the mean voltage times the duration, a voltage offset on
    the charge. The mean voltage is energy over charge.
    """
    if not (sensor.current_known and sensor.voltage_known):
        return None
    hours = duration_s / SECONDS_PER_HOUR
    mean_v = energy_wh / charge_ah if charge_ah > 0 else 0.0
    mean_w = energy_wh / hours if hours > 0 else 0.0
    return root_sum(
        sensor.current_a * mean_v * hours,
        sensor.current_relative * energy_wh,
        current_resolution_a / RECTANGULAR * mean_v * hours,
        sensor.voltage_v * charge_ah,
        sensor.voltage_relative * energy_wh,
        voltage_resolution_v / RECTANGULAR * charge_ah,
        math.sqrt(2.0) * sensor.time_s / SECONDS_PER_HOUR * mean_w,
        *other_wh,
    )


def efficiency_uncertainty(
    sensor: Sensor,
    discharged_ah: float,
    charged_ah: float,
    discharge_s: float,
    charge_s: float,
    current_resolution_a: float,
    *other_ah: float,
) -> float | None:
    """Return u of discharged over charged, None where the current is unknown.

    The gain cancels. One offset raises the one and lowers the other, so its two
    shares add: u = a (T_d / Q_c + Q_d T_c / Q_c^2).
    """
    if not sensor.current_known or charged_ah <= 0:
        return None
    ratio = discharged_ah / charged_ah
    hours = (discharge_s + ratio * charge_s) / SECONDS_PER_HOUR
    return (
        root_sum(
            sensor.current_a * hours,
            current_resolution_a / RECTANGULAR * hours,
            *other_ah,
        )
        / charged_ah
    )
