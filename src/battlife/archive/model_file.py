"""A Model as a file: numbers and one text in HDF5, hashed, never a pickle.

`/model` holds everything but the numbers as canonical JSON, `/arrays/…` the numbers.
The hash inside is that of the content, so a flipped bit is found; who made a model is
not signed here: an archive names the hash of the model that it was evaluated with.
"""

import io
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from battlife.archive.guard import translated, walk
from battlife.archive.records import from_text, to_text
from battlife.errors import ArchiveError, InputError
from battlife.model.estimate import Scalar
from battlife.model.learned import Model
from battlife.model.provenance import Source

SCHEMA: Final = 1
SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
CHUNK_VALUES: Final = 1 << 16
MAX_TEXT_BYTES: Final = 16 << 20
MAX_VALUES: Final = 1 << 27
"""1 GiB of numbers: a thousand times the largest model there is."""


@dataclass(frozen=True)
class _Head:
    """All of a Model but its arrays, as it is stored."""

    schema: int
    estimator: str
    version: str
    quantity: str
    unit: str
    software: str
    sha256: str
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()


def encode_model(model: Model) -> bytes:
    """Return a model as the bytes of its file."""
    import h5py

    head = _Head(
        SCHEMA,
        model.estimator,
        model.version,
        model.quantity,
        model.unit,
        model.software,
        model.sha256,
        dict(model.attributes),
        dict(model.texts),
        model.sources,
    )
    text = np.frombuffer(to_text(head).encode(), dtype=np.uint8)
    content = io.BytesIO()
    with h5py.File(content, "w", track_order=False) as file:
        _put(file, "model", text)
        for name, array in model.arrays.items():
            _put(file, f"arrays/{name}", np.atleast_1d(array))
    return content.getvalue()


def write_model(path: Path, model: Model) -> None:
    """Write a model, replacing what was there in one step.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    part = path.parent / f".battlife-{secrets.token_hex(6)}.part"
    try:
        with part.open("wb") as stream:
            stream.write(encode_model(model))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror or error}",
            "choose another folder, or free some space",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def is_model(path: Path) -> bool:
    """Say whether a file is HDF5 with the text of a model in it."""
    import h5py

    try:
        with path.open("rb") as stream:
            if stream.read(len(SIGNATURE)) != SIGNATURE:
                return False
        with h5py.File(path, "r") as file:
            return "model" in file
    except OSError:
        return False


def decode_model(content: bytes) -> Model:
    """Return the model of the bytes of a file; errors as :func:`read_model`."""
    with tempfile.TemporaryDirectory(prefix="battlife-model-") as folder:
        copy = Path(folder) / "model.h5"
        copy.write_bytes(content)
        return read_model(copy)


def read_model(path: Path) -> Model:
    """Read a model.

    Raises
    ------
    InputError
        There is no such file.
    ArchiveError
        It is no model, it is damaged or forged, or its schema is unknown.
    """
    import h5py

    try:
        with path.open("rb") as stream:
            start = stream.read(len(SIGNATURE))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}",
            "make a model with `battlife calibrate`",
        ) from error
    if start != SIGNATURE:
        raise ArchiveError(
            f"{path}: is no model file", "make one with `battlife calibrate`"
        )
    arrays: dict[str, Any] = {}
    head: _Head | None = None
    total = 0
    with translated(path), h5py.File(path, "r") as file:
        for item in walk(file, path):
            if item.is_group:
                continue
            total += item.node.size
            if total > MAX_VALUES:
                raise ArchiveError(f"{path}: holds more numbers than a model has")
            if item.path == "/model":
                if item.node.size > MAX_TEXT_BYTES or item.node.dtype != np.uint8:
                    raise ArchiveError(f"{path}: its text is larger than a model's")
                text = bytes(item.node[()]).decode("utf-8")
                head = from_text(text, _Head)
            elif item.path.startswith("/arrays/") and item.node.dtype == np.float64:
                arrays[item.path.removeprefix("/arrays/")] = item.node[()]
            else:
                raise ArchiveError(f"{path}: {item.path} is nothing a model holds")
    if head is None:
        raise ArchiveError(
            f"{path}: is no model file", "make one with `battlife calibrate`"
        )
    if head.schema != SCHEMA:
        raise ArchiveError(
            f"{path}: has model schema {head.schema}, this version reads {SCHEMA}",
            "calibrate it again, or use the version that made it",
        )
    model = Model(
        head.estimator,
        head.version,
        head.quantity,
        head.unit,
        head.attributes,
        arrays,
        head.texts,
        head.sources,
        head.software,
    )
    if model.sha256 != head.sha256:
        raise ArchiveError(
            f"{path}: its content does not have the hash it states",
            "damaged or edited: calibrate it again, or restore it from a backup",
        )
    return model


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    width = min(shape[-1], CHUNK_VALUES)
    rows = max(1, CHUNK_VALUES // width)
    return (*(min(n, rows) for n in shape[:-1]), width)


def _put(file: Any, name: str, values: Any) -> None:
    file.create_dataset(
        name,
        data=values,
        chunks=_chunks(values.shape) if values.size else None,
        compression="gzip" if values.size else None,
        shuffle=bool(values.size),
        fletcher32=bool(values.size),
        track_times=False,
    )
