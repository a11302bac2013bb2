"""Resistance at another temperature, with the uncertainty of getting there.

ln R falls with the temperature as E/(G T): the law of Arrhenius with the gas constant
G. E is not a constant of nature. A pulse of ten seconds crosses contacts, electrolyte
and charge transfer, whose shares differ from cell to cell: contacts hardly feel the
temperature, the electrolyte has 17.1 kJ/mol, charge transfer 43.6 (nickel-cobalt oxide)
and 53.4 (graphite; Ecker et al., J. Electrochem. Soc. 162 (2015) A1836,
doi 10.1149/2.0551509jes, as PyBaMM's set of it states them). What is used:

* NMC declared: 20.8 +- 8.0 kJ/mol, the rectangular distribution (GUM, 4.3.7) between
  two types measured between 10 and 25 degC: 34.6, a 5 Ah pouch cell (E2 of Plett's
  toolbox: R0 and RC of the fitted models at 5, 15 and 25 degC, taken at 10 s and
  interpolated to 10 degC), and 6.9, LG M50 cylindrical cells (mean of six cells each
  at 11 and at 27 degC, 10 s pulses at 20 to 80 % SOC; their resistance holds that of
  holder and leads). From 10 to 25 degC a factor of 1.56 with 17 %.
* any other chemistry, or none: 20.8 +- 12.0 kJ/mol, from nothing (all contacts) to
  41.6 (next to all charge transfer). A factor of 1.56 with 26 %.

No pulse resistance of another chemistry over temperature is at hand, and the two NMC
types lie further apart than the charge transfer of one oxide from another: design
counts for more than chemistry. Whoever has measured the type of cell at two
temperatures states its own E.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from battlife.estimators._uncertainty import root_sum

GAS_J_PER_MOL_K: Final = 8.314462618
"""CODATA 2018."""
ZERO_DEGC_K: Final = 273.15
ACTIVATION_J_PER_MOL: Final = 20_800.0
U_ACTIVATION_J_PER_MOL: Final = 8_000.0
U_UNKNOWN_J_PER_MOL: Final = 12_000.0
COLDEST_DEGC: Final = 0.0
"""Below, E itself grows: 46 to 50 kJ/mol between -5 and 5 degC for the E2 cell."""
HOTTEST_DEGC: Final = 50.0
"""No data above."""
U_TEMPERATURE_K: Final = 1.0
"""Of the inside of a cell at rest whose surface or chamber was measured: class 2
thermocouples have 2.5 K limits (IEC 60584-1), 1.4 K as a standard uncertainty of a
rectangle; chambers are held and sensors compared to better than 1 K."""


@dataclass(frozen=True)
class Activation:
    """Activation energy of a resistance.

    Attributes
    ----------
    j_per_mol, u_j_per_mol : value and standard uncertainty in J/mol
    source : where it comes from
    """

    j_per_mol: float = ACTIVATION_J_PER_MOL
    u_j_per_mol: float = U_UNKNOWN_J_PER_MOL
    source: str = "lithium-ion cells at large: contacts to charge transfer"


BY_CHEMISTRY: Final[Mapping[str, Activation]] = MappingProxyType(
    {
        "NMC": Activation(
            ACTIVATION_J_PER_MOL,
            U_ACTIVATION_J_PER_MOL,
            "two types of NMC cell, 10 to 25 degC",
        )
    }
)
"""Of the chemistries of which pulses over temperature are at hand."""
_NAMES: Final = frozenset({"NMC", "NCM"})


def activation_of(chemistry: str) -> Activation:
    """Return what is known of a declared chemistry; "" and blends are wide.

    Parameters
    ----------
    chemistry : as declared: "NMC", "NCM811", "NMC 532 / graphite"
    """
    words = [w for w in re.split(r"[^A-Z]+", chemistry.upper()) if w]
    kinds = [w for w in words if w not in ("GRAPHITE", "GR", "G", "C")]
    if kinds and _NAMES.issuperset(kinds):
        return BY_CHEMISTRY["NMC"]
    return Activation()


def supported(degc: float) -> bool:
    """Say whether a resistance measured at this temperature can be corrected."""
    return COLDEST_DEGC <= degc <= HOTTEST_DEGC


def corrected(
    ohm: float,
    u_ohm: float | None,
    degc: float,
    to_degc: float,
    activation: Activation,
    u_temperature_k: float = U_TEMPERATURE_K,
) -> tuple[float, float | None]:
    """Return (ohm, standard uncertainty in ohm) at another temperature.

    Parameters
    ----------
    ohm, u_ohm : as measured; None where its uncertainty is unknown
    degc, to_degc : from which to which temperature, degC
    activation : of this type of cell
    u_temperature_k : standard uncertainty of the temperature in K

    References
    ----------
    Waag, Kaebitz, Sauer, Appl. Energy 102 (2013) 885,
    doi 10.1016/j.apenergy.2012.09.030 (resistance of a cell over temperature).
    """
    kelvin, to_kelvin = degc + ZERO_DEGC_K, to_degc + ZERO_DEGC_K
    distance = (1.0 / to_kelvin - 1.0 / kelvin) / GAS_J_PER_MOL_K
    value = ohm * math.exp(activation.j_per_mol * distance)
    if u_ohm is None:
        return value, None
    per_kelvin = activation.j_per_mol / (GAS_J_PER_MOL_K * kelvin * kelvin)
    share = root_sum(
        u_ohm / ohm,
        activation.u_j_per_mol * distance,
        per_kelvin * u_temperature_k,
    )
    return value, value * share


def between(ohm_a: float, degc_a: float, ohm_b: float, degc_b: float) -> float:
    """Return the activation energy in J/mol of a resistance known at two temperatures.

    Parameters
    ----------
    ohm_a, ohm_b : the same pulse of the same type of cell
    degc_a, degc_b : degC, not equal
    """
    inverse = 1.0 / (degc_a + ZERO_DEGC_K) - 1.0 / (degc_b + ZERO_DEGC_K)
    return GAS_J_PER_MOL_K * math.log(ohm_a / ohm_b) / inverse
