"""The numbers of a cell model of the ESC toolbox.

The file holds one structure `model`: an open-circuit curve `OCV0 + T OCVrel` over
`SOC`, and one value per temperature of each parameter (G. L. Plett, Battery Management
Systems, vol. 1, Artech House 2015, ch. 2). Only its numbers are taken.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from battlife.errors import InputError
from battlife.model import Column
from battlife.model.provenance import Source
from battlife.readers.files import hash_file
from battlife.readers.matlab import first_variable, load_variable

VARIABLE: Final = "model"
PER_SOC: Final = ("SOC", "OCV0", "OCVrel")
PER_DEGC: Final = (
    "temps",
    "QParam",
    "etaParam",
    "GParam",
    "MParam",
    "M0Param",
    "R0Param",
    "RParam",
    "RCParam",
)


def is_esc_model(path: Path) -> bool:
    """Say whether a file is MATLAB v5 and begins with such a model."""
    try:
        with path.open("rb") as stream:
            return first_variable(stream.read(4096)) == VARIABLE
    except OSError:
        return False


def read_esc_numbers(path: Path) -> tuple[Mapping[str, Column], Source]:
    """Return the arrays of a model by their names in the file, and the file.

    Returns
    -------
    PER_SOC of shape (m,) and PER_DEGC of shape (k,), at increasing temperature; units
    of the toolbox: V, V/K, degC, Ah, ohm, s, and G without one.

    Raises
    ------
    InputError
        It cannot be read, lacks a parameter, or has more than one RC element.
    """
    structure = load_variable(path, VARIABLE)
    found: dict[str, Column] = {}
    for names in (PER_SOC, PER_DEGC):
        for name in names:
            try:
                array = np.asarray(getattr(structure, name), dtype=np.float64)
            except (AttributeError, TypeError, ValueError) as error:
                raise InputError(
                    f"{path}: the model has no numbers {name!r}",
                    "an ESC model of one temperature or without a dynamic part lacks "
                    "them: calibrate with a dynamic test instead",
                ) from error
            found[name] = np.atleast_1d(array)
            size = found[names[0]].size
            if found[name].shape != (size,) or not np.isfinite(found[name]).all():
                raise InputError(
                    f"{path}: {name} has the shape {found[name].shape}, not ({size},), "
                    "or holds values that are no numbers",
                    "models with several RC elements are not read: calibrate with a "
                    "dynamic test instead",
                )
    order = np.argsort(found["temps"], kind="stable")
    found |= {name: found[name][order] for name in PER_DEGC}
    digest, size_bytes = hash_file(path)
    source = Source(str(path), digest, size_bytes, "esc_model")
    return MappingProxyType(found), source
