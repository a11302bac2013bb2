"""The signed list of every object of an archive, chained to the list before it."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from battlife.archive.guard import Item, walk
from battlife.errors import ArchiveError
from battlife.model import Notice, Severity

GROUP: Final = "/manifest"
WINDOW_VALUES: Final = 1 << 17

Entry = dict[str, Any]


def describe(items: Iterable[Item]) -> dict[str, Entry]:
    """Return kind, type, shape, hash and attributes of every object but manifests."""
    return {
        item.path: _entry(item)
        for item in items
        if item.path != GROUP and not item.path.startswith(GROUP + "/")
    }


def _entry(item: Item) -> Entry:
    entry: Entry = {
        "kind": "group" if item.is_group else "dataset",
        "attributes": _attributes(item.node),
    }
    if not item.is_group:
        entry |= {
            "dtype": item.node.dtype.str,
            "shape": list(item.node.shape),
            "sha256": content_sha256(item.node),
        }
    return entry


def _attributes(node: Any) -> Entry:
    found: Entry = {}
    for name in sorted(node.attrs):
        value = np.asarray(node.attrs[name])
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        found[name] = {
            "dtype": value.dtype.str,
            "shape": list(value.shape),
            "sha256": digest,
        }
    return found


def content_sha256(dataset: Any) -> str:
    """Return the SHA-256 of a dataset's values in C order, read by window."""
    digest = hashlib.sha256()
    for window in windows(dataset):
        digest.update(np.ascontiguousarray(window).tobytes())
    return digest.hexdigest()


def windows(dataset: Any) -> Iterator[Any]:
    """Yield a 1-D or 2-D dataset in pieces, row by row, in C order."""
    if len(dataset.shape) == 1:
        for start in range(0, dataset.shape[0], WINDOW_VALUES):
            yield dataset[start : start + WINDOW_VALUES]
        return
    for row in range(dataset.shape[0]):
        for start in range(0, dataset.shape[1], WINDOW_VALUES):
            yield dataset[row, start : start + WINDOW_VALUES]


def to_bytes(
    objects: Mapping[str, Entry], sequence: int, previous: str, facts: Mapping[str, str]
) -> bytes:
    """Return a manifest as canonical JSON."""
    return json.dumps(
        {
            "schema": 1,
            "sequence": sequence,
            "previous": previous,
            "facts": dict(facts),
            "objects": dict(objects),
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()


def parse(content: bytes, where: str) -> dict[str, Any]:
    """Return a stored manifest.

    Raises
    ------
    ArchiveError
        Not a manifest.
    """
    try:
        found = json.loads(content)
        if not isinstance(found["objects"], dict):
            raise TypeError("objects must be an object")
        int(found["sequence"]), str(found["previous"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArchiveError(f"{where}: is not a manifest: {error}") from error
    return dict(found)


def differences(
    listed: Mapping[str, Entry], present: Mapping[str, Entry]
) -> list[Notice]:
    """Return what changed between the manifest and the file, named object by object."""
    notices = []

    def found(code: str, message: str) -> None:
        notices.append(Notice(code, message, Severity.SUSPECT))

    for path in sorted(listed.keys() - present.keys()):
        found("object_removed", f"{path} was removed")
    for path in sorted(present.keys() - listed.keys()):
        found("object_added", f"{path} was added")
    for path in sorted(listed.keys() & present.keys()):
        before, now = listed[path], present[path]
        for key in ("kind", "dtype", "shape"):
            if before.get(key) != now.get(key):
                found(
                    "object_changed",
                    f"{path}: {key} is {now.get(key)}, was {before.get(key)}",
                )
        if before.get("sha256") != now.get("sha256"):
            found("content_changed", f"{path}: its values were changed")
        old, new = before["attributes"], now["attributes"]
        for name in sorted(old.keys() | new.keys()):
            if name not in new:
                found("attribute_removed", f"{path}: attribute {name} was removed")
            elif name not in old:
                found("attribute_added", f"{path}: attribute {name} was added")
            elif old[name] != new[name]:
                what = "type" if old[name]["dtype"] != new[name]["dtype"] else "value"
                found(
                    "attribute_changed",
                    f"{path}: the {what} of attribute {name} was changed",
                )
    return notices


def present_objects(file: Any, path: Path) -> dict[str, Entry]:
    """Return the description of everything in an open file."""
    return describe(walk(file, path))
