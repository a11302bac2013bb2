"""What both generations of the Zoe have in common."""

from collections.abc import Mapping
from typing import Final

from battlife.wire._ev import STANDARD_CRITICAL

N_CELLS: Final = 96

CRITICAL: Final[Mapping[str, str]] = {
    **STANDARD_CRITICAL,
    "P33E2": "the battery found itself too hot",
    "P3332": "second cell over-voltage protection acted",
    "P3300": "pack over-voltage",
    "P33ED": "a busbar is not fixed",
    "P3064": "the second protection circuit failed",
    **{f"P{0x3302 + i:04X}": f"over-voltage in module {i + 1}" for i in range(24)},
}
"""Trouble codes that forbid handling (SAE J2012, CanZE LBC_Dtcs.csv)."""
