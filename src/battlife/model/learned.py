"""What a calibration on labelled units produced: numbers, never code."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from battlife.errors import InputError
from battlife.model._arrays import Column, frozen_floats
from battlife.model.estimate import Scalar
from battlife.model.provenance import Source


@dataclass(frozen=True, eq=False)
class Model:
    """Numbers and texts in a tree of names; the estimator it is for gives them sense.

    Attributes
    ----------
    estimator : method it was made for, as on the command line
    version : of that method's model layout; another one is not read
    quantity : what it estimates, e.g. "soh"
    unit : of that quantity, "1" for a fraction
    attributes : single values, by name
    arrays : float64 of any dimension, by path ("parts/NMC/domain/centre")
    texts : lists of texts, by path
    sources : files it was made from, with their hashes
    software : battlife version that made it
    """

    estimator: str
    version: str
    quantity: str
    unit: str
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    arrays: Mapping[str, Column] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    software: str = ""

    def __post_init__(self) -> None:
        arrays = {n: frozen_floats(v) for n, v in sorted(self.arrays.items())}
        texts = {n: tuple(v) for n, v in sorted(self.texts.items())}
        object.__setattr__(self, "arrays", MappingProxyType(arrays))
        object.__setattr__(self, "texts", MappingProxyType(texts))
        attributes = MappingProxyType(dict(sorted(self.attributes.items())))
        object.__setattr__(self, "attributes", attributes)

    @cached_property
    def sha256(self) -> str:
        """Hash of all it holds, whatever file it came from."""
        digest = hashlib.sha256()
        head = (self.estimator, self.version, self.quantity, self.unit, self.software)
        digest.update(repr(head).encode())
        digest.update(repr([(s.path, s.sha256) for s in self.sources]).encode())
        digest.update(repr(list(self.attributes.items())).encode())
        digest.update(repr(list(self.texts.items())).encode())
        for name, array in self.arrays.items():
            digest.update(f"{name}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()

    def array(self, name: str) -> Column:
        """Return the array at a path.

        Raises
        ------
        InputError
            The model has none there: it is damaged, or made for another method.
        """
        try:
            return self.arrays[name]
        except KeyError:
            raise InputError(
                f"the model has no {name!r}: damaged, or not one for this method",
                "calibrate it again",
            ) from None

    def text(self, name: str) -> tuple[str, ...]:
        """Return the texts at a path; errors as :meth:`array`."""
        try:
            return self.texts[name]
        except KeyError:
            raise InputError(
                f"the model has no {name!r}: damaged, or not one for this method",
                "calibrate it again",
            ) from None

    def attribute(self, name: str) -> Scalar:
        """Return a single value; errors as :meth:`array`."""
        try:
            return self.attributes[name]
        except KeyError:
            raise InputError(
                f"the model has no {name!r}: damaged, or not one for this method",
                "calibrate it again",
            ) from None
