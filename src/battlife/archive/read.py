"""Read an archive, by column and by window, whoever may have written it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from battlife.archive.guard import translated, walk
from battlife.archive.manifest import windows
from battlife.archive.model_file import decode_model
from battlife.archive.records import (
    SCHEMA,
    ArchivedSource,
    Evaluation,
    encoded,
    from_text,
)
from battlife.archive.seal import require_seal
from battlife.errors import ArchiveError, InputError
from battlife.model import (
    Column,
    Estimate,
    Grade,
    Pack,
    Provenance,
    Spectrum,
    StepTable,
    Trace,
)
from battlife.model.learned import Model

MAX_TEXT_BYTES = 64 << 20


@dataclass(frozen=True)
class _Stored:
    """An evaluation as it is stored; its grade stands beside it."""

    unit_id: str
    operator: str
    reason: str
    created_utc: datetime
    estimates: tuple[Estimate, ...]
    software: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


class Archive:
    """An open archive; nothing in it is changed.

    Use :func:`open_archive`, as a context manager.
    """

    def __init__(self, path: Path, file: Any) -> None:
        self.path = path
        self._file = file

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def schema(self) -> int:
        """Version of the layout."""
        return int(self._file.attrs["schema"])

    @property
    def units(self) -> tuple[str, ...]:
        """Ids of the units, in byte order of their encoded names."""
        with translated(self.path):
            group = self._file["units"]
            return tuple(_attr(group[name], "unit_id") for name in sorted(group))

    @property
    def sources(self) -> tuple[ArchivedSource, ...]:
        """The originals, in the order in which they were joined."""
        with translated(self.path):
            found = []
            group = self._file.get("source", {})
            for name in sorted(group):
                data = group[name]
                found.append(
                    ArchivedSource(
                        path=Path(_attr(data, "path")),
                        sha256=_attr(data, "sha256"),
                        name=_attr(data, "name"),
                        reader=_attr(data, "reader"),
                        mapping_toml=self._text(f"/source_mapping/{name}"),
                        embedded=bool(data.attrs["embedded"]),
                    )
                )
            return tuple(found)

    def extract_source(self, index: int, destination: Path) -> None:
        """Write original number `index`, from 0, to a file, window by window.

        Raises
        ------
        ArchiveError
            Only its hash is here, or its bytes do not have that hash.
        """
        source = self.sources[index]
        if not source.embedded:
            raise ArchiveError(f"{self.path}: {source.name} is kept as a hash alone")
        digest = hashlib.sha256()
        with translated(self.path), destination.open("wb") as file:
            for window in windows(self._file[f"source/{index + 1:04d}"]):
                content = window.tobytes()
                digest.update(content)
                file.write(content)
        if digest.hexdigest() != source.sha256:
            raise ArchiveError(
                f"{self.path}: the original {source.name} has another hash than stated"
            )

    def model(self, sha256: str) -> Model:
        """Return the model, by its hash, that an evaluation was made with.

        Raises
        ------
        ArchiveError
            It is not here, or its content does not have that hash.
        """
        where = f"models/{sha256}"
        with translated(self.path):
            if where not in self._file:
                raise ArchiveError(f"{self.path}: the model {sha256[:12]} is not here")
            content = b"".join(w.tobytes() for w in windows(self._file[where]))
        found = decode_model(content)
        if found.sha256 != sha256:
            raise ArchiveError(f"{self.path}: the model {sha256[:12]} was exchanged")
        return found

    def pack(self, unit_id: str) -> Pack:
        """Return what is known of a unit."""
        found: Pack = from_text(self._text(f"{self._base(unit_id)}/pack"), Pack)
        return found

    def trace(self, unit_id: str) -> Trace:
        """Return the whole trace of a unit.

        Raises
        ------
        ArchiveError
            No such unit, or what is stored is no trace.
        """
        base = f"{self._base(unit_id)}/trace"
        with translated(self.path):
            group = self._file[base]
            start = _attr(group, "start_utc")
            columns = {n: d[...] for n, d in group.get("columns", {}).items()}
            steps = None
            if "steps" in group:
                table = {n: d[...] for n, d in group["steps"].items()}
                steps = StepTable(table.pop("kind"), table)
            spectra = tuple(_spectrum(s) for _, s in sorted(_spectra(group)))
            time_s, segment_start = group["time_s"][...], group["segment_start"][...]
        try:
            return Trace(
                unit_id=unit_id,
                start_utc=datetime.fromisoformat(start) if start else None,
                time_s=time_s,
                segment_start=segment_start,
                columns=columns,
                steps=steps,
                spectra=spectra,
                provenance=from_text(self._text(f"{base}/provenance"), Provenance),
            )
        except (InputError, ValueError) as error:
            raise ArchiveError(f"{self.path}: {base} is no trace: {error}") from error

    def window(self, unit_id: str, name: str, start: int, stop: int) -> Column:
        """Return samples `start` to `stop` of a column, or of "time_s".

        Returns
        -------
        (stop - start,), or (n_cells, stop - start) for a cell quantity
        """
        base = f"{self._base(unit_id)}/trace"
        where = f"{base}/time_s" if name == "time_s" else f"{base}/columns/{name}"
        with translated(self.path):
            data = self._file[where]
            found = data[start:stop] if data.ndim == 1 else data[:, start:stop]
            return np.asarray(found, dtype=np.float64)

    def evaluations(self, unit_id: str) -> tuple[Evaluation, ...]:
        """Return every evaluation of a unit, oldest first."""
        base = self._base(unit_id)
        with translated(self.path):
            names = sorted(self._file[base].get("estimates", ()))
        found = []
        for name in names:
            stored: _Stored = from_text(self._text(f"{base}/estimates/{name}"), _Stored)
            grade_text = self._text(f"{base}/grade/{name}")
            grade = from_text(grade_text, Grade) if grade_text else None
            found.append(
                Evaluation(
                    stored.unit_id,
                    stored.estimates,
                    grade,
                    stored.operator,
                    stored.reason,
                    stored.created_utc,
                    stored.software,
                    stored.inputs,
                )
            )
        return tuple(found)

    def _base(self, unit_id: str) -> str:
        base = f"/units/{encoded(unit_id)}"
        if base not in self._file:
            raise ArchiveError(
                f"{self.path}: has no unit {unit_id!r}",
                f"it holds: {', '.join(self.units)}",
            )
        return base

    def _text(self, where: str) -> str:
        with translated(self.path):
            data = self._file[where]
            if data.size > MAX_TEXT_BYTES:
                raise ArchiveError(f"{self.path}: {where} is too large for a text")
            content: npt.NDArray[np.uint8] = data[...]
            return content.tobytes().decode("utf-8")


def open_archive(path: Path, *, check_seal: bool = True) -> Archive:
    """Open an archive for reading, having looked at every object from outside.

    Parameters
    ----------
    path : the archive
    check_seal : refuse a file whose bytes are not those that were sealed; False saves
        reading a very large file once, and trusts it

    Raises
    ------
    InputError
        The file cannot be opened.
    ArchiveError
        Not an archive, damaged, of an unknown schema, or hostile.
    """
    import h5py

    if not path.is_file():
        raise InputError(f"{path}: no such file", "check the path")
    if check_seal:
        require_seal(path)
    with translated(path):
        file = h5py.File(path, "r")
    try:
        with translated(path):
            for _ in walk(file, path):
                pass
            schema = int(file.attrs.get("schema", 0))
            if schema != SCHEMA or "units" not in file:
                raise ArchiveError(
                    f"{path}: is no battlife archive of schema {SCHEMA}",
                    "it may come from a newer version of battlife",
                )
    except BaseException:
        file.close()
        raise
    return Archive(path, file)


def _spectra(group: Any) -> list[tuple[str, Any]]:
    return list(group["spectra"].items()) if "spectra" in group else []


def _spectrum(group: Any) -> Spectrum:
    return Spectrum(
        group["frequency_hz"][...],
        group["z_re_ohm"][...],
        group["z_im_ohm"][...],
        float(group.attrs["time_s"]),
        float(group.attrs["voltage_v"]),
        float(group.attrs["temperature_degc"]),
    )


def _attr(node: Any, name: str) -> str:
    return bytes(node.attrs[name]).rstrip(b"\0").decode("utf-8")
