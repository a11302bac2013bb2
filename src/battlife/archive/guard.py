"""Look at an HDF5 file from outside before anything in it is read.

Nothing is followed out of the file, and nothing is allocated that the file's real
size does not justify.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from battlife.errors import ArchiveError

MAX_DEFLATE_RATIO: Final = 1032
"""Most that deflate can expand (zlib documentation): more is a forged size."""
MAX_CHUNK_BYTES: Final = 16 << 20
HARMLESS_BYTES: Final = 64 << 20
"""What a chunk may become without being looked at first."""
MAX_ATTRIBUTE_BYTES: Final = 64 << 10
MAX_ATTRIBUTES: Final = 64
MAX_DEPTH: Final = 12
BYTES_PER_OBJECT: Final = 64
"""An object header takes more than this, so the file's size bounds their number."""
FILTERS: Final = {1: "deflate", 2: "shuffle", 3: "fletcher32"}
KINDS: Final = {"f": (8,), "i": (8,), "u": (1,)}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what the HDF5 library says of a bad file into an ArchiveError."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ArchiveError(
            f"{path}: cannot be read as an archive: {error}",
            "run `battlife verify`; restore the file from a backup if it is damaged",
        ) from error


@dataclass(frozen=True)
class Item:
    """One object of the file that passed every check.

    Attributes
    ----------
    path : absolute path inside the file
    node : the open group or dataset
    is_group : which of the two it is
    """

    path: str
    node: Any
    is_group: bool


def walk(file: Any, path: Path) -> Iterator[Item]:
    """Yield every object below the root, parents first, names in byte order.

    Raises
    ------
    ArchiveError
        A link that is not a hard link, an object linked twice, external or virtual
        storage, an unknown filter or type, or a shape that the file cannot hold.
    """
    size = path.stat().st_size
    seen = {_address(file)}
    _check_attributes(file, "/", path)
    yield Item("/", file, True)
    yield from _below(file, "", path, size, seen, 0)


def _below(
    group: Any, prefix: str, path: Path, size: int, seen: set[int], depth: int
) -> Iterator[Item]:
    import h5py

    if depth > MAX_DEPTH:
        raise ArchiveError(f"{path}: groups are nested more than {MAX_DEPTH} deep")
    if len(group) > size // BYTES_PER_OBJECT:
        raise ArchiveError(f"{path}: {prefix or '/'} claims {len(group)} objects")
    for name in sorted(group):
        inner = f"{prefix}/{name}"
        link = group.get(name, getlink=True)
        if type(link) is not h5py.HardLink:
            raise ArchiveError(
                f"{path}: {inner} is a {type(link).__name__}, not a hard link",
                "no archive of battlife has one: do not trust this file",
            )
        node = group[name]
        address = _address(node)
        if address in seen:
            raise ArchiveError(f"{path}: {inner} is an object that is linked twice")
        seen.add(address)
        if len(seen) > size // BYTES_PER_OBJECT:
            raise ArchiveError(f"{path}: more objects than the file can hold")
        _check_attributes(node, inner, path)
        if isinstance(node, h5py.Group):
            yield Item(inner, node, True)
            yield from _below(node, inner, path, size, seen, depth + 1)
        elif isinstance(node, h5py.Dataset):
            _check_dataset(node, inner, path, size)
            yield Item(inner, node, False)
        else:
            raise ArchiveError(f"{path}: {inner} is neither a group nor a dataset")


def _address(node: Any) -> int:
    import h5py

    return int(h5py.h5o.get_info(node.id).addr)


def _check_attributes(node: Any, inner: str, path: Path) -> None:
    import h5py

    count = h5py.h5a.get_num_attrs(node.id)
    if count > MAX_ATTRIBUTES:
        raise ArchiveError(f"{path}: {inner} has {count} attributes")
    for index in range(count):
        attribute = h5py.h5a.open(node.id, index=index)
        kind = attribute.get_type()
        if kind.get_class() == h5py.h5t.STRING and kind.is_variable_str():
            raise ArchiveError(f"{path}: {inner} has an attribute of variable length")
        if kind.get_class() not in (
            h5py.h5t.STRING,
            h5py.h5t.INTEGER,
            h5py.h5t.FLOAT,
        ):
            raise ArchiveError(f"{path}: {inner} has an attribute of unknown type")
        if attribute.get_storage_size() > MAX_ATTRIBUTE_BYTES:
            raise ArchiveError(f"{path}: {inner} has an attribute that is too large")


def _check_dataset(node: Any, inner: str, path: Path, size: int) -> None:
    import h5py

    plist = node.id.get_create_plist()
    layout = plist.get_layout()
    if layout == h5py.h5d.VIRTUAL or plist.get_external_count():
        raise ArchiveError(
            f"{path}: {inner} keeps its values in another file",
            "no archive of battlife does: do not trust this file",
        )
    dtype = node.dtype
    if dtype.kind not in KINDS or dtype.itemsize not in KINDS[dtype.kind]:
        raise ArchiveError(f"{path}: {inner} has the unknown type {dtype}")
    if len(node.shape or ()) not in (1, 2):
        raise ArchiveError(f"{path}: {inner} has the shape {node.shape}")
    for index in range(plist.get_nfilters()):
        code = plist.get_filter(index)[0]
        if code not in FILTERS:
            raise ArchiveError(f"{path}: {inner} uses the unknown filter {code}")
    logical = int(node.nbytes)
    stored = int(node.id.get_storage_size())
    if stored > size:
        raise ArchiveError(f"{path}: {inner} claims {stored} stored bytes")
    chunk = 0
    if layout == h5py.h5d.CHUNKED:
        chunk = dtype.itemsize
        for edge in plist.get_chunk():
            chunk *= int(edge)
        if chunk > MAX_CHUNK_BYTES:
            raise ArchiveError(f"{path}: {inner} has chunks of {chunk} bytes")
    _check_chunks(node, inner, path, size, chunk)
    if logical > MAX_DEFLATE_RATIO * stored:
        raise ArchiveError(
            f"{path}: {inner} claims {logical} bytes and stores {stored}",
            "a forged size: do not trust this file",
        )


def _check_chunks(node: Any, inner: str, path: Path, size: int, chunk: int) -> None:
    """Refuse chunks that inflate beyond their shape, or that share their bytes.

    The HDF5 library inflates a chunk whole, however large it becomes, before it looks
    at the shape; so each one that could become large is inflated here under a limit.
    """
    if not chunk:
        return
    total = 0
    for index in range(node.id.get_num_chunks()):
        info = node.id.get_chunk_info(index)
        total += int(info.size)
        if total > size:
            raise ArchiveError(f"{path}: {inner} has chunks that share their bytes")
        if int(info.size) * MAX_DEFLATE_RATIO <= HARMLESS_BYTES:
            continue
        _, content = node.id.read_direct_chunk(info.chunk_offset)
        inflate = zlib.decompressobj()
        try:
            inflate.decompress(content, chunk)
            beyond = inflate.decompress(inflate.unconsumed_tail, 1)
        except zlib.error as error:
            raise ArchiveError(f"{path}: {inner} is damaged: {error}") from error
        if beyond:
            raise ArchiveError(
                f"{path}: {inner} has a chunk that inflates beyond its {chunk} bytes",
                "a forged chunk: do not trust this file",
            )
