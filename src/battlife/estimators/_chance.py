"""How often chance alone would look like a finding."""

import math
from typing import Final

LEAST: Final = 1e-12
"""No false-alarm probability is told as less: no model is known that well."""


def student_tail(t: float, freedom: float) -> float:
    """Return the probability that Student's t exceeds `t`, one-sided."""
    from scipy.special import stdtr

    return max(float(stdtr(freedom, -t)), LEAST)


def normal_tail(z: float) -> float:
    """Return the probability that a standard normal number exceeds `z`."""
    return max(0.5 * math.erfc(z / math.sqrt(2.0)), LEAST)


def of_many(probability: float, tries: int) -> float:
    """Return the probability that one of `tries` chances does it.

    Sidak, J. Am. Stat. Assoc. 62 (1967) 626.
    """
    return max(-math.expm1(tries * math.log1p(-min(probability, 1.0 - 1e-15))), LEAST)
