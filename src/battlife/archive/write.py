"""Write an archive once, and add evaluations to it: atomically, sealed, listed."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from battlife.archive import ledger as ledgers
from battlife.archive import manifest
from battlife.archive.keys import SigningKey
from battlife.archive.model_file import encode_model
from battlife.archive.read import open_archive
from battlife.archive.records import (
    SCHEMA,
    ArchivedSource,
    ArchivedUnit,
    Evaluation,
    encoded,
    to_text,
)
from battlife.archive.seal import BLOCK, put_seal
from battlife.errors import ArchiveError, InputError
from battlife.model import STEP_COLUMNS, Trace
from battlife.model.learned import Model
from battlife.quantities import QUANTITIES

CHUNK_VALUES: Final = 1 << 16
SOURCE_WINDOW: Final = 1 << 20
GZIP_LEVEL: Final = 4
MANIFEST_BYTES: Final = 1 << 17
"""Room for manifest, texts and HDF5's own structures beside the values."""


def write_archive(
    path: Path,
    sources: Sequence[ArchivedSource],
    units: Sequence[ArchivedUnit],
    evaluations: Sequence[Evaluation],
    *,
    key: SigningKey,
    embed: bool = True,
    ledger: bool = True,
    model: Model | None = None,
) -> None:
    """Write a sealed archive, replacing what was there in one step.

    A crash leaves the old file or the new one, never a half.

    Parameters
    ----------
    path : the archive, ``.h5``
    sources : originals, read again while they are copied and checked by hash
    units : traces with their packs
    evaluations : first evaluations of the units
    key : signs manifest and seal
    embed : keep the original bytes, or their hash alone
    ledger : add a line to the ledger of the folder
    model : the one that the evaluations were made with, kept for repeating them

    Raises
    ------
    InputError
        A source changed since it was read, or the archive cannot be written.
    """
    if not units:
        raise InputError(f"{path}: an archive needs at least one unit")
    ids = [u.trace.unit_id for u in units]
    if len(set(ids)) != len(ids):
        raise InputError(f"{path}: a unit id is given twice: {', '.join(ids)}")
    with _replacing(path) as part:
        import h5py

        _require_space(path, _largest_size(sources, units, evaluations, embed))
        with h5py.File(part, "w", userblock_size=BLOCK, track_order=False) as file:
            file.attrs["schema"] = np.int64(SCHEMA)
            file.attrs["software"] = _text(_software(evaluations))
            for number, source in enumerate(sources, start=1):
                _put_source(file, number, source, embed)
            for unit in units:
                _put_unit(file, unit)
            for evaluation in evaluations:
                _put_evaluation(file, evaluation)
            _put_model(file, model)
            _put_manifest(file, part, key, _facts(evaluations))
        block = _sealed(part, key)
    if ledger:
        ledgers.append(path.parent, path, block, key)


def append_evaluation(
    path: Path,
    evaluation: Evaluation,
    *,
    key: SigningKey,
    ledger: bool = True,
    model: Model | None = None,
) -> None:
    """Add an evaluation to an archive; what is there already never changes.

    Parameters
    ----------
    path : the archive
    evaluation : the next one of its unit
    key : signs manifest and seal
    ledger : add a line to the ledger of the folder
    model : the one that the evaluation was made with, kept for repeating it

    Raises
    ------
    ArchiveError
        The archive is damaged, or has no such unit.
    """
    with open_archive(path) as archive:
        if evaluation.unit_id not in archive.units:
            raise ArchiveError(f"{path}: has no unit {evaluation.unit_id!r}")
    with _replacing(path) as part:
        import h5py

        added = 2 * len(to_text(evaluation)) + MANIFEST_BYTES
        _require_space(path, path.stat().st_size + added)
        shutil.copyfile(path, part)
        with h5py.File(part, "r+") as file:
            _put_evaluation(file, evaluation)
            _put_model(file, model)
            _put_manifest(file, part, key, _facts([evaluation]))
        block = _sealed(part, key)
    if ledger:
        ledgers.append(path.parent, path, block, key)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a file to write beside `path`, and put it in place if all went well."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{path}: cannot be written: {getattr(error, 'strerror', None) or error}",
            "choose another folder with --archives or -o",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of writers that are no longer running."""
    for part in folder.glob("*.h5.*.part"):
        pid = part.suffixes[-2].lstrip(".")
        if not (pid.isdigit() and _running(int(pid))):
            part.unlink(missing_ok=True)


def _running(pid: int) -> bool:
    if os.name != "posix":
        return True  # cannot be asked without harm: leave the file alone
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _largest_size(
    sources: Sequence[ArchivedSource],
    units: Sequence[ArchivedUnit],
    evaluations: Sequence[Evaluation],
    embed: bool,
) -> int:
    """Return the bytes an archive takes if nothing in it can be compressed."""
    size = sum(s.path.stat().st_size for s in sources) if embed else 0
    for unit in units:
        trace = unit.trace
        columns = sum(c.nbytes for c in trace.columns.values())
        steps = trace.steps
        table = sum(c.nbytes for c in steps.columns.values()) if steps else 0
        size += trace.time_s.nbytes + columns + table + MANIFEST_BYTES
    return size + sum(len(to_text(e)) for e in evaluations)


def _require_space(path: Path, needed: int) -> None:
    """Refuse to begin what a full disk would break off: HDF5 does not survive that."""
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise InputError(
            f"{path}: needs up to {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB are free",
            "make room, or choose another folder with --archives or -o",
        )


def _sealed(part: Path, key: SigningKey) -> bytes:
    """Seal a closed file, read it back, and wait until it is on the disk."""
    block = put_seal(part, key)
    with open_archive(part):
        pass
    with part.open("r+b") as file:
        os.fsync(file.fileno())
    return block


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # no other system lets a program wait for a folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_source(file: Any, number: int, source: ArchivedSource, embed: bool) -> None:
    name = f"/source/{number:04d}"
    size = source.path.stat().st_size
    digest = hashlib.sha256()
    data = _dataset(file, name, (size if embed else 0,), np.dtype("u1"))
    position = 0
    with source.path.open("rb") as original:
        while window := original.read(SOURCE_WINDOW):
            digest.update(window)
            if position + len(window) > size:
                break
            if embed:
                stop = position + len(window)
                data[position:stop] = np.frombuffer(window, np.uint8)
            position += len(window)
    if digest.hexdigest() != source.sha256:
        raise InputError(
            f"{source.path}: changed since it was read",
            "wait until the tester has finished writing, then run again",
        )
    data.attrs["unit"] = _text("1")
    data.attrs["bdf_name"] = _text("")
    data.attrs["sha256"] = _text(source.sha256)
    data.attrs["size_bytes"] = np.int64(size)
    data.attrs["name"] = _text(source.name)
    data.attrs["path"] = _text(str(source.path))
    data.attrs["reader"] = _text(source.reader)
    data.attrs["embedded"] = np.int64(embed)
    _put_text(file, f"/source_mapping/{number:04d}", source.mapping_toml)


def _put_unit(file: Any, unit: ArchivedUnit) -> None:
    trace = unit.trace
    base = f"/units/{encoded(trace.unit_id)}"
    group = file.create_group(base)
    group.attrs["unit_id"] = _text(trace.unit_id)
    _put_text(file, f"{base}/pack", to_text(unit.pack))
    _put_text(file, f"{base}/trace/provenance", to_text(trace.provenance))
    inside = file[f"{base}/trace"]
    start = trace.start_utc.isoformat() if trace.start_utc else ""
    inside.attrs["start_utc"] = _text(start)
    _put_array(file, f"{base}/trace/time_s", trace.time_s, "time_s")
    _put_array(file, f"{base}/trace/segment_start", trace.segment_start, "")
    for name, values in trace.columns.items():
        _put_array(file, f"{base}/trace/columns/{name}", values, name)
    _put_steps(file, f"{base}/trace/steps", trace)
    for number, spectrum in enumerate(trace.spectra, start=1):
        where = f"{base}/trace/spectra/{number:04d}"
        for name, unit_name in (
            ("frequency_hz", "Hz"),
            ("z_re_ohm", "ohm"),
            ("z_im_ohm", "ohm"),
        ):
            data = _put_array(file, f"{where}/{name}", getattr(spectrum, name), "")
            data.attrs["unit"] = _text(unit_name)
        for name in ("time_s", "voltage_v", "temperature_degc"):
            file[where].attrs[name] = np.float64(getattr(spectrum, name))


def _put_steps(file: Any, where: str, trace: Trace) -> None:
    if trace.steps is None:
        return
    _put_array(file, f"{where}/kind", trace.steps.kind, "")
    for name, values in trace.steps.columns.items():
        data = _put_array(file, f"{where}/{name}", values, "")
        data.attrs["unit"] = _text(STEP_COLUMNS[name])


def _put_evaluation(file: Any, evaluation: Evaluation) -> None:
    base = f"/units/{encoded(evaluation.unit_id)}"
    number = len(file[base].get("estimates", ())) + 1
    head = {
        "unit_id": evaluation.unit_id,
        "operator": evaluation.operator,
        "reason": evaluation.reason,
        "created_utc": evaluation.created_utc,
        "software": evaluation.software,
        "inputs": evaluation.inputs,
        "estimates": evaluation.estimates,
    }
    _put_text(file, f"{base}/estimates/{number:04d}", to_text(head))
    grade = to_text(evaluation.grade) if evaluation.grade is not None else ""
    _put_text(file, f"{base}/grade/{number:04d}", grade)


def _put_model(file: Any, model: Model | None) -> None:
    """Keep a model under its hash, once however many evaluations used it."""
    if model is None:
        return
    where = f"models/{model.sha256}"
    if where not in file:
        _put_bytes(file, where, encode_model(model))


def _put_manifest(
    file: Any, path: Path, key: SigningKey, facts: dict[str, str]
) -> None:
    file.flush()
    objects = manifest.present_objects(file, path)
    group = file.require_group(manifest.GROUP)
    number = len(group) + 1
    previous = ""
    if number > 1:
        before = group[f"{number - 1:04d}"][...].tobytes()
        previous = hashlib.sha256(before).hexdigest()
    content = manifest.to_bytes(objects, number, previous, facts)
    data = _put_bytes(file, f"{manifest.GROUP}/{number:04d}", content)
    data.attrs["public_key"] = _text(key.public.hex())
    data.attrs["signer"] = _text(key.name)
    data.attrs["signature"] = _text(key.sign(content).hex())


def _put_array(
    file: Any, name: str, values: npt.NDArray[np.generic], quantity: str
) -> Any:
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    data = _dataset(file, name, values.shape, little.dtype)
    if little.size:
        data[...] = little
    known = QUANTITIES.get(quantity)
    data.attrs["unit"] = _text(known.unit if known else "1")
    data.attrs["bdf_name"] = _text(known.bdf_name if known else "")
    return data


def _put_text(file: Any, name: str, text: str) -> Any:
    return _put_bytes(file, name, text.encode())


def _put_bytes(file: Any, name: str, content: bytes) -> Any:
    data = _dataset(file, name, (len(content),), np.dtype("u1"))
    if content:
        data[...] = np.frombuffer(content, np.uint8)
    data.attrs["unit"] = _text("1")
    data.attrs["bdf_name"] = _text("")
    return data


def _dataset(file: Any, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
    if 0 in shape:
        return file.create_dataset(name, shape, dtype, track_times=False)
    width = min(shape[-1], SOURCE_WINDOW if np.dtype(dtype) == "u1" else CHUNK_VALUES)
    return file.create_dataset(
        name,
        shape,
        dtype,
        chunks=(width,) if len(shape) == 1 else (1, width),
        compression="gzip",
        compression_opts=GZIP_LEVEL,
        shuffle=np.dtype(dtype).itemsize > 1,
        fletcher32=True,
        track_times=False,
    )


def _text(value: str) -> np.bytes_:
    """Return text as HDF5 stores it at fixed length; an empty one needs one byte."""
    return np.bytes_(value.encode() or b"\0")


def _software(evaluations: Sequence[Evaluation]) -> str:
    return json.dumps(dict(evaluations[0].software) if evaluations else {})


def _facts(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    first = evaluations[0] if evaluations else None
    made = first.created_utc if first else datetime.now(UTC)
    return {
        "created_utc": made.isoformat(),
        "operator": first.operator if first else "",
        "reason": first.reason if first else "",
    }
