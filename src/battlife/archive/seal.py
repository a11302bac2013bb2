r"""The 512-byte block in front of an archive that seals every byte behind it.

Layout, little-endian (docs/archive-format.md):

====== ===== =================================================
offset bytes content
====== ===== =================================================
0      8     magic ``BLSEAL1\\n``
8      4     schema
12     8     length of the whole file
20     32    SHA-256 of everything from byte 512 on
52     32    Ed25519 public key
84     2     length of the signer's name in bytes, at most 200
86     200   signer's name, UTF-8, padded with zeros
286    64    signature of bytes 0–285
350    162   zeros
====== ===== =================================================
"""

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from battlife.archive.keys import SigningKey, check, fingerprint
from battlife.archive.records import SCHEMA
from battlife.errors import ArchiveError

BLOCK: Final = 512
MAGIC: Final = b"BLSEAL1\n"
HDF5_MAGIC: Final = b"\x89HDF\r\n\x1a\n"
NAME_BYTES: Final = 200
_HEAD: Final = struct.Struct("<8sIQ32s32sH200s")
_SIGNED: Final = _HEAD.size
_SIGNATURE_END: Final = _SIGNED + 64
_WINDOW: Final = 1 << 20


@dataclass(frozen=True)
class Seal:
    """What the block in front of an archive states.

    Attributes
    ----------
    length : bytes of the whole file
    sha256 : raw digest of everything behind the block
    public : raw public key of the signer
    name : signer
    signed : True if the signature is that of this key over this block
    """

    schema: int
    length: int
    sha256: bytes
    public: bytes
    name: str
    signed: bool

    @property
    def fingerprint(self) -> str:
        """Readable digest of the signer's public key."""
        return fingerprint(self.public)


def is_archive(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of a battlife archive."""
    return head[: len(MAGIC)] == MAGIC or (
        head[: len(MAGIC)] == bytes(len(MAGIC))
        and head[BLOCK : BLOCK + len(HDF5_MAGIC)] == HDF5_MAGIC
    )


def digest_behind(path: Path) -> tuple[bytes, int]:
    """Return the SHA-256 of a file behind its first block, and the whole length."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        length = len(file.read(BLOCK))
        while window := file.read(_WINDOW):
            digest.update(window)
            length += len(window)
    return digest.digest(), length


def put_seal(path: Path, key: SigningKey) -> bytes:
    """Seal a finished file in place and return its block."""
    digest, length = digest_behind(path)
    name = key.name.encode()[:NAME_BYTES].decode("utf-8", "ignore").encode()
    head = _HEAD.pack(MAGIC, SCHEMA, length, digest, key.public, len(name), name)
    block = (head + key.sign(head)).ljust(BLOCK, b"\0")
    with path.open("r+b") as file:
        file.write(block)
    return block


def read_seal(path: Path) -> Seal | None:
    """Return the seal of a file, None if its block is empty (not sealed).

    Raises
    ------
    ArchiveError
        The block is neither empty nor a seal.
    """
    with path.open("rb") as file:
        block = file.read(BLOCK)
    if len(block) < BLOCK:
        raise ArchiveError(
            f"{path}: {len(block)} bytes are too few for an archive",
            "the file is cut off; restore it from a backup",
        )
    if not any(block):
        return None
    magic, schema, length, digest, public, size, name = _HEAD.unpack(block[:_SIGNED])
    if magic != MAGIC or size > NAME_BYTES or any(block[_SIGNATURE_END:]):
        raise ArchiveError(
            f"{path}: the seal in front of the file is damaged",
            "restore the file from a backup",
        )
    return Seal(
        schema,
        length,
        digest,
        public,
        name[:size].decode("utf-8", "replace"),
        check(public, block[:_SIGNED], block[_SIGNED:_SIGNATURE_END]),
    )


def require_seal(path: Path) -> Seal:
    """Return the seal of a file whose bytes are those that were sealed.

    Raises
    ------
    ArchiveError
        Not sealed, or changed since.
    """
    seal = read_seal(path)
    hint = "run `battlife verify` to see what changed; restore it from a backup"
    if seal is None:
        raise ArchiveError(f"{path}: is no sealed archive", hint)
    digest, length = digest_behind(path)
    if not seal.signed or (digest, length) != (seal.sha256, seal.length):
        raise ArchiveError(f"{path}: was altered after it was sealed", hint)
    return seal


def stated_end(path: Path) -> int | None:
    """Return the end-of-file address in the HDF5 superblock, None if unreadable."""
    with path.open("rb") as file:
        file.seek(BLOCK)
        head = file.read(64)
    if head[:8] != HDF5_MAGIC:
        return None
    version = head[8]
    if version in (0, 1):
        # Version 1 has four more bytes between the flags and the addresses.
        shift = 4 * version
        base, _, end = struct.unpack_from("<QQQ", head, 24 + shift)
    elif version in (2, 3):
        base, _, end = struct.unpack_from("<QQQ", head, 12)
    else:
        return None
    return int(end) if end >= base + 96 else None
