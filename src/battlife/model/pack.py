"""Identity of the unit under test: frozen, without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class Cell:
    """The smallest unit measured separately; parallel cells count as one."""

    id: str = ""
    n_parallel: int = 1


@dataclass(frozen=True)
class Module:
    """Cells in series."""

    id: str = ""
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class Pack:
    """What is known of a unit besides its measurements.

    A single cell or module under test is a Pack too. A value that nobody gave is
    None, never a default.

    Attributes
    ----------
    id : identity of the unit
    chemistry : declared, e.g. "NMC", "LFP", "LCO", "LMO"; "" if unknown
    nominal_ah : rated capacity in Ah
    nominal_wh : rated energy in Wh
    nominal_source : where the rated capacity comes from: "command line",
        "units.toml", "file" or "bms"
    cells_in_series : number of cells in series
    cutoff_v : end-of-discharge voltage of the unit in V
    reference_degc : temperature at which the rated capacity holds
    test_degc : temperature at which the test was made, as declared; stands in where
        the log has none
    sensor : standard uncertainties (k = 1) by quantity name, in its unit
    calibration : id of the calibration record behind `sensor`, "" if none
    """

    id: str
    maker: str = ""
    chemistry: str = ""
    nominal_ah: float | None = None
    nominal_wh: float | None = None
    nominal_source: str = ""
    cells_in_series: int | None = None
    cutoff_v: float | None = None
    reference_degc: float | None = None
    test_degc: float | None = None
    manufactured: date | None = None
    origin: str = ""
    damage: tuple[str, ...] = ()
    sensor: Mapping[str, float] = field(default_factory=dict)
    calibration: str = ""
    modules: tuple[Module, ...] = ()
