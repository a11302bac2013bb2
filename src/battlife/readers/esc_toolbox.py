"""Dynamic tests of the ESC toolbox: one MATLAB file per cell and temperature.

A file holds `DYNData` with three scripts: 1 from full at the test temperature, 2 the
rest of the discharge and 3 the charge, both at 25 degC (G. L. Plett, Battery
Management Systems, vol. 1, Artech House 2015, 2.11). Its current is positive on
discharge. The name ends in the temperature: P25, N15 for 25 and -15 degC. The state of
charge it holds was computed afterwards and is no measurement: it is left out.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from battlife.errors import InputError
from battlife.model import Column, Notice, Severity, Trace
from battlife.readers.matlab import first_variable, load_variable
from battlife.readers.shape import shaped

VARIABLE: Final = "DYNData"
SCRIPTS: Final = ("script1", "script2", "script3")
AFTER_DEGC: Final = 25.0
"""Temperature of the scripts after the first."""
_COLUMNS: Final = {
    "voltage_v": ("voltage", 1.0),
    "current_a": ("current", -1.0),
    "charge_capacity_ah": ("chgAh", 1.0),
    "discharge_capacity_ah": ("disAh", 1.0),
}
_DEGC: Final = re.compile(r"_([PN])(\d{2})$", re.IGNORECASE)


class EscToolboxReader:
    """Reads a dynamic test of the ESC toolbox; scripts follow each other."""

    name = "esc_toolbox"
    description = "dynamic test of the ESC toolbox (MATLAB v5 .mat)"

    def recognises(self, head: bytes, name: str) -> bool:
        """Say whether the first variable of a MATLAB v5 file is DYNData."""
        return first_variable(head) == VARIABLE

    def read(self, path: Path) -> Sequence[Trace]:
        """Read the one cell of a file.

        Raises
        ------
        InputError
            Damaged, or a script without time, voltage and current of one length.
        """
        content = load_variable(path, VARIABLE)
        degc = _temperature(path)
        parts: list[dict[str, Column]] = []
        for name in SCRIPTS:
            script = getattr(content, name, None)
            if script is not None:
                test = name == SCRIPTS[0]
                parts.append(_script(path, name, script, degc if test else AFTER_DEGC))
        if not parts:
            raise InputError(f"{path}: DYNData without {SCRIPTS[0]}")
        columns = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
        sizes = ", ".join(str(p["time_s"].size) for p in parts)
        notices = [
            Notice(
                "scripts_joined",
                f"{len(parts)} scripts of {sizes} samples follow each other, each on "
                "the tester's own clock",
                Severity.INFO,
            )
        ]
        if degc is not None:
            notices.append(
                Notice(
                    "temperature_from_name",
                    f"the file name says {degc:g} degC for the first script; the "
                    f"others run at {AFTER_DEGC:g} degC by its procedure",
                    Severity.INFO,
                )
            )
        return (shaped(path.stem, columns.pop("time_s"), columns, notices=notices),)


def _script(
    path: Path, name: str, script: Any, degc: float | None
) -> dict[str, Column]:
    time = _vector(script, "time")
    found = {"time_s": time}
    for quantity, (source, sign) in _COLUMNS.items():
        values = sign * _vector(script, source)
        if values.size != time.size:
            if quantity in ("voltage_v", "current_a") or values.size:
                raise InputError(
                    f"{path}: {name}.{source} has {values.size} values, its time "
                    f"{time.size}",
                    "the file is damaged or of another toolbox",
                )
            values = np.full(time.size, np.nan)
        found[quantity] = values
    ambient = np.nan if degc is None else degc
    found["ambient_temperature_degc"] = np.full(time.size, ambient)
    return found


def _vector(script: Any, name: str) -> Column:
    try:
        values: Column = np.atleast_1d(
            np.asarray(getattr(script, name, ()), dtype=np.float64)
        ).ravel()
    except (TypeError, ValueError):
        return np.zeros(0)
    return values


def _temperature(path: Path) -> float | None:
    found = _DEGC.search(path.stem)
    if not found:
        return None
    return float(found[2]) * (1.0 if found[1].upper() == "P" else -1.0)


READER = EscToolboxReader()
