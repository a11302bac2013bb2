"""The cell behind a filter: curves over the state of charge, numbers over temperature.

v = ocv(z, T) + h + shape(z) R0(T) i + sum of R_k(T) i_k, where i_k is the current
through the resistor of an RC element and h goes towards +M(T) on charge and -M(T) on
discharge within 1/rate of the charge passed (Plett, Battery Management Systems, vol. 1,
Artech House 2015, ch. 2; the enhanced self-correcting model).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.model import Column
from battlife.model._arrays import frozen_floats
from battlife.model.learned import Model
from battlife.model.provenance import Source

LAYOUT: Final = "2"
"""Of the Model file of a cell; another one is not read."""
QUANTITY: Final = "soc"
METHODS: Final = ("soc_ekf", "soc_spkf", "awtls")
"""Methods that take a cell model, whichever of them it was made for."""
KELVIN: Final = 273.15
REFERENCE_DEGC: Final = 25.0
ACTIVATION_K: Final = 2800.0
"""Activation energy over the gas constant of the resistance of a lithium-ion cell, for
a model of one temperature: the Leaf cell of Oak Ridge has 1.65 times its resistance at
10 degC (ln 1.65 / (1/283.15 K - 1/298.15 K) = 2818 K)."""
DOUBT: Final = 0.2
"""Of the logarithm by which a resistance was moved to a temperature it was not measured
at: what activation energies of cells differ by."""
PER_CURVE: Final = ("soc", "ocv_v", "ocv_v_per_k", "gap_shape", "r0_shape", "error_v")
PER_DEGC: Final = (
    "temperature_degc",
    "r0_ohm",
    "rc_ohm",
    "rc_s",
    "hysteresis_v",
    "hysteresis_rate",
    "capacity_ah",
    "efficiency",
    "doubt_v",
    "r_doubt",
)
SLOW_S: Final = 50.0
LASTING: Final = 0.1
LASTING_WITHOUT_SLOW: Final = 1.0
"""Polarisation a model does not follow, as a share of that of the difference between a
load and the model's own: the A123 cell's discharge and charge at 1C were off by 10 and
6 % of it when its curve came from a drive cycle. A model whose slowest element is
faster than SLOW_S leaves diffusion out, which in an NMC cell is as large as all the
rest."""
LEAST_V: Final = 0.003
"""Least standard deviation of a curve, a choice: ageing and other cells of the type
move it by some millivolts, of which blocks left out of a fit show nothing."""
ALIGNED: Final = 0.01
"""Standard deviation of the state of charge of a curve: full and empty repeat to about
1 % of the capacity with the cut-off current and the temperature."""
UNSEEN_GAP_V: Final = 0.02
"""Half the gap of the branches of a cell whose other branch was not measured, as a
standard deviation: 57 mV is the whole gap of LFP at mid-charge, NMC has less."""
HYSTERESIS_RATE: Final = 60.0
"""Decay of hysteresis per unit of state of charge where no record tells it: 60 to 110
in models of NMC cells of the ESC toolbox (its `GParam`)."""
OUTSIDE: Final = 0.1
"""States of charge beyond 0 and 1 that the curves are continued to, straight."""
STEPS: Final = 500.0
"""Columns per unit of state of charge: 0.2 %, finer than any curve is known."""


@dataclass(frozen=True, eq=False)
class CellAt:
    """A cell at one temperature, as a filter takes it.

    Attributes
    ----------
    curves : (4, m) open-circuit voltage, hysteresis, R0, sd of the curve
    grid : (2,) state of charge of the first column, columns per unit
    rc : (resistance in ohm, time constant in s) of each element
    capacity_ah, efficiency, hysteresis_rate : numbers
    degc : temperature in degC
    r_spread : standard deviation of the resistances as a share
    lasting_share : standard deviation of polarisation that no element follows, as a
        share of all of it
    load_a : mean current of the records the curve was taken from, whose polarisation
        the curve holds
    r_doubt : standard deviation of the resistances as a share where the temperature
        is another than that they were measured at
    """

    curves: Column
    grid: Column
    rc: tuple[tuple[float, float], ...]
    capacity_ah: float
    efficiency: float
    hysteresis_rate: float
    degc: float
    r_spread: float
    lasting_share: float
    load_a: float
    r_doubt: float


@dataclass(frozen=True, eq=False)
class CellModel:
    """A cell as numbers.

    Attributes
    ----------
    soc : (m,) increasing state of charge of the curves
    ocv_v : (m,) V at REFERENCE_DEGC, between the branches where both are known
    ocv_v_per_k : (m,) V/K
    gap_shape, r0_shape : (m,) factors over the state of charge
    error_v : (m,) V, standard deviation of what the curve is wrong by
    temperature_degc : (k,) increasing, of what follows
    r0_ohm, hysteresis_v, hysteresis_rate, capacity_ah, efficiency : (k,)
    doubt_v : (k,) V, standard deviation of the curve beside error_v where no record
        of that temperature was fitted
    rc_ohm, rc_s : (k, p) of p RC elements
    range_v : lowest and highest voltage of the records it was made from
    chemistry : declared, "" if unknown
    load_a : A, mean current of the record the curve was taken from
    """

    soc: Column
    ocv_v: Column
    ocv_v_per_k: Column
    gap_shape: Column
    r0_shape: Column
    error_v: Column
    temperature_degc: Column
    r0_ohm: Column
    rc_ohm: Column
    rc_s: Column
    hysteresis_v: Column
    hysteresis_rate: Column
    capacity_ah: Column
    efficiency: Column
    doubt_v: Column
    r_doubt: Column
    range_v: tuple[float, float]
    chemistry: str = ""
    load_a: float = 0.0

    def __post_init__(self) -> None:
        for name in (*PER_CURVE, *PER_DEGC):
            object.__setattr__(self, name, frozen_floats(getattr(self, name)))
        m, k = self.soc.size, self.temperature_degc.size
        curves = [getattr(self, n) for n in PER_CURVE]
        table = [getattr(self, n) for n in PER_DEGC]
        if (
            m < 2
            or k < 1
            or any(c.shape != (m,) for c in curves)
            or any(c.shape[:1] != (k,) for c in table)
            or self.rc_ohm.shape != self.rc_s.shape
            or self.rc_ohm.ndim != 2
            or not all(np.isfinite(c).all() for c in (*curves, *table))
            or (np.diff(self.soc) <= 0).any()
            or (np.diff(self.temperature_degc) <= 0).any()
            or (self.capacity_ah <= 0).any()
            or (self.rc_s <= 0).any()
        ):
            raise InputError(
                "the numbers of the cell model do not fit together",
                "make it again with `battlife calibrate`",
            )

    def at(self, degc: float | None) -> CellAt:
        """Return the cell at a temperature; at the reference where it is unknown.

        Between two temperatures the logarithms of resistances are linear in 1/T, all
        else is linear. Beyond them, and for a model of one temperature, resistances go
        on by ACTIVATION_K; `r_spread` grows with the distance.
        """
        known = self.temperature_degc
        wanted = float(
            degc if degc is not None else known[np.abs(known - REFERENCE_DEGC).argmin()]
        )
        near = float(np.clip(wanted, known[0], known[-1]))
        away = abs(wanted - near)
        factor = float(
            np.exp(
                np.clip(
                    ACTIVATION_K * (1 / (wanted + KELVIN) - 1 / (near + KELVIN)), -2, 2
                )
            )
        )
        soc = np.linspace(
            -OUTSIDE, 1.0 + OUTSIDE, round((1.0 + 2.0 * OUTSIDE) * STEPS) + 1
        )
        ocv = self.ocv_v + (wanted - REFERENCE_DEGC) * self.ocv_v_per_k
        r0 = factor * self._over_degc(self.r0_ohm, near, logarithmic=True)
        gap = self._over_degc(self.hysteresis_v, near)
        far = float(
            np.hypot(self._over_degc(self.r_doubt, near), DOUBT * abs(np.log(factor)))
        )
        doubt = float(np.hypot(0.1, far))
        if degc is None:
            doubt = float(np.hypot(doubt, 0.3))
        unseen = float(
            np.hypot(UNMEASURED_V_PER_K * away, self._over_degc(self.doubt_v, near))
        )
        error = np.hypot(self.error_v, unseen)
        curves = np.vstack(
            [
                _continued(self.soc, ocv, soc),
                gap * np.interp(soc, self.soc, self.gap_shape),
                r0 * np.interp(soc, self.soc, self.r0_shape),
                np.interp(soc, self.soc, error),
            ]
        )
        rc = tuple(
            (
                factor * self._over_degc(self.rc_ohm[:, k], near, logarithmic=True),
                self._over_degc(self.rc_s[:, k], near),
            )
            for k in range(self.rc_ohm.shape[1])
        )
        slow = max(tau for _, tau in rc) >= SLOW_S
        return CellAt(
            np.ascontiguousarray(curves),
            np.array([-OUTSIDE, STEPS]),
            rc,
            self._over_degc(self.capacity_ah, near),
            self._over_degc(self.efficiency, near),
            self._over_degc(self.hysteresis_rate, near),
            wanted,
            doubt,
            float(np.hypot(LASTING if slow else LASTING_WITHOUT_SLOW, far)),
            self.load_a,
            far,
        )

    def soc_at(self, voltage_v: float) -> float:
        """Return the state of charge at an open-circuit voltage, NaN outside."""
        rising = np.maximum.accumulate(self.ocv_v)
        if not rising[0] <= voltage_v <= rising[-1]:
            return float("nan")
        return float(np.interp(voltage_v, rising, self.soc))

    def _over_degc(
        self, values: Column, degc: float, *, logarithmic: bool = False
    ) -> float:
        known = self.temperature_degc
        if known.size == 1:
            return float(values[0])
        if logarithmic and (values > 0).all():
            x = -1.0 / (known + KELVIN)
            return float(np.exp(np.interp(-1.0 / (degc + KELVIN), x, np.log(values))))
        return float(np.interp(degc, known, values))

    def to_model(
        self, estimator: str, sources: Sequence[Source], software: str
    ) -> Model:
        """Return it as a Model of one of METHODS."""
        return Model(
            estimator,
            LAYOUT,
            QUANTITY,
            "1",
            {
                "chemistry": self.chemistry,
                "low_v": self.range_v[0],
                "high_v": self.range_v[1],
                "load_a": self.load_a,
            },
            {f"cell/{n}": getattr(self, n) for n in (*PER_CURVE, *PER_DEGC)},
            {},
            tuple(sources),
            software,
        )


UNMEASURED_V_PER_K: Final = 2e-4
"""Entropic coefficients of lithium-ion cells lie within 0.4 mV/K of 0 over the state
of charge (Viswanathan et al., J. Power Sources 195, 2010, doi
10.1016/j.jpowsour.2009.11.103); half of it is the standard deviation per kelvin that a
curve was never measured at."""


def cell_of(model: Model) -> CellModel:
    """Return the cell of a Model.

    Raises
    ------
    InputError
        It is one for another method, or of another layout.
    """
    if model.estimator not in METHODS:
        raise InputError(
            f"a model for {model.estimator!r} holds no cell",
            "make one with `battlife calibrate FILES --estimator soc_ekf -o MODEL`",
        )
    if model.version != LAYOUT:
        raise InputError(
            f"a cell model of layout {model.version!r}, this version reads {LAYOUT}",
            "calibrate it again",
        )
    arrays = {n: model.array(f"cell/{n}") for n in (*PER_CURVE, *PER_DEGC)}
    low, high = model.attribute("low_v"), model.attribute("high_v")
    load = model.attribute("load_a")
    if not (
        isinstance(low, float) and isinstance(high, float) and isinstance(load, float)
    ):
        raise InputError(
            "the cell model states no voltages or no load", "calibrate it again"
        )
    return CellModel(
        **arrays,
        range_v=(low, high),
        chemistry=str(model.attribute("chemistry")),
        load_a=load,
    )


def bare_curve(soc: Column, ocv_v: Column) -> CellModel:
    """Return a cell of which only the curve is known, (m,) in V of one cell.

    Its resistances are stand-ins that no use of the curve alone sees.
    """
    slope = np.gradient(ocv_v, soc)
    one, every = np.ones(1), np.ones(soc.size)
    return CellModel(
        soc=soc,
        ocv_v=np.maximum.accumulate(ocv_v),
        ocv_v_per_k=0.0 * every,
        gap_shape=0.0 * every,
        r0_shape=every,
        error_v=np.sqrt(LEAST_V**2 + UNSEEN_GAP_V**2 + (ALIGNED * slope) ** 2),
        temperature_degc=REFERENCE_DEGC * one,
        r0_ohm=one,
        rc_ohm=np.ones((1, 1)),
        rc_s=np.ones((1, 1)),
        hysteresis_v=0.0 * one,
        hysteresis_rate=HYSTERESIS_RATE * one,
        capacity_ah=one,
        efficiency=one,
        doubt_v=0.0 * one,
        r_doubt=0.0 * one,
        range_v=(float(ocv_v.min()), float(ocv_v.max())),
    )


def _continued(x: Column, y: Column, at: Column) -> Column:
    """Return y at points, continued straight beyond its ends."""
    inside: Column = np.interp(at, x, y)
    tail = max(2, x.size // 50)
    first = max((y[tail - 1] - y[0]) / (x[tail - 1] - x[0]), 0.1)
    last = max((y[-1] - y[-tail]) / (x[-1] - x[-tail]), 0.1)
    below, above = at < x[0], at > x[-1]
    inside[below] = y[0] + first * (at[below] - x[0])
    inside[above] = y[-1] + last * (at[above] - x[-1])
    return inside
