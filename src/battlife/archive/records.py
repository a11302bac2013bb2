"""What an archive holds, and its text form: strict JSON, never a pickle."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote

from battlife.errors import ArchiveError
from battlife.model import Estimate, Grade, Pack, Trace

SCHEMA = 1


@dataclass(frozen=True)
class ArchivedUnit:
    """One unit: what was measured and what is known of it."""

    trace: Trace
    pack: Pack


@dataclass(frozen=True)
class ArchivedSource:
    """One original file.

    Attributes
    ----------
    path : where to read it while the archive is written
    sha256 : lower-case hex digest of its bytes
    name : file name it had
    reader : name of the reader that read it
    mapping_toml : column mapping it was read with, "" if none
    embedded : True if its bytes are in the archive
    """

    path: Path
    sha256: str
    name: str
    reader: str
    mapping_toml: str = ""
    embedded: bool = True


@dataclass(frozen=True)
class Evaluation:
    """Estimates and a grade made at one moment by one operator.

    Attributes
    ----------
    inputs : texts that repeating it needs (policy and options)
    """

    unit_id: str
    estimates: tuple[Estimate, ...]
    grade: Grade | None
    operator: str
    reason: str
    created_utc: datetime
    software: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


def encoded(unit_id: str) -> str:
    """Return a unit id as a group name: percent-encoded, never "." or ".."."""
    return quote(unit_id, safe="").replace(".", "%2E")


def to_text(value: object) -> str:
    """Return a dataclass or plain value as canonical JSON: sorted keys, no spaces.

    NaN and infinity are written as the texts "NaN", "Infinity", "-Infinity", which
    :func:`from_text` turns back where a number is expected.
    """
    return json.dumps(
        _plain(value),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def from_text(text: str, kind: Any) -> Any:
    """Return a value of type `kind` from its canonical JSON.

    Raises
    ------
    ArchiveError
        Not JSON, or not of that type.
    """
    try:
        return _typed(json.loads(text), kind)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        name = getattr(kind, "__name__", str(kind))
        raise ArchiveError(f"a stored {name} cannot be read: {error}") from error


_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        if value != value:
            return "NaN"
        if value in (float("inf"), float("-inf")):
            return "Infinity" if value > 0 else "-Infinity"
    return value


def _typed(value: Any, kind: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _one_of(value, get_args(kind))
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, not {value!r}")
        inner = get_args(kind)[0]
        return tuple(_typed(v, inner) for v in value)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, not {value!r}")
        inner = get_args(kind)[1]
        return {k: _typed(v, inner) for k, v in value.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, not {value!r}")
        hints = get_type_hints(kind)
        known = {f.name for f in fields(kind)}
        if unknown := set(value) - known:
            raise KeyError(f"unknown key {sorted(unknown)}")
        return kind(**{k: _typed(v, hints[k]) for k, v in value.items()})
    return _scalar(value, kind)


def _scalar(value: Any, kind: Any) -> Any:
    if kind is float:
        if isinstance(value, str) and value in _SPECIAL:
            return _SPECIAL[value]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif kind is datetime and isinstance(value, str):
        return datetime.fromisoformat(value)
    elif kind is date and isinstance(value, str):
        return date.fromisoformat(value)
    elif kind is Path and isinstance(value, str):
        return Path(value)
    elif isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    elif kind is bool or kind is str or kind is NoneType:
        if isinstance(value, kind):
            return value
    elif kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeError(f"expected {kind}, not {value!r}")


def _one_of(value: Any, kinds: Sequence[Any]) -> Any:
    """Return `value` as the first of `kinds` it fits exactly; numbers keep theirs."""
    if value is None and NoneType in kinds:
        return None
    order = [k for k in kinds if k is not NoneType]
    if isinstance(value, str) and value in _SPECIAL and float in order:
        return _SPECIAL[value]
    # JSON keeps 2 and 2.0 apart, and so do we: an int must not become a float.
    exact = [k for k in order if isinstance(k, type) and type(value) is k]
    for kind in exact + order:
        try:
            return _typed(value, kind)
        except (TypeError, KeyError, ValueError):
            continue
    raise TypeError(f"{value!r} is none of {kinds}")
