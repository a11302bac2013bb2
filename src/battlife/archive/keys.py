"""The operator's signing key and the keys he trusts.

Keys live in one folder: ``$BATTLIFE_HOME``, or the platform's place for settings.
The private key is PKCS #8 in PEM, mode 600, made at first use.
"""

import getpass
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from battlife.errors import InputError

PRIVATE_NAME = "operator-key.pem"
OPERATOR_NAME = "operator.json"
TRUSTED_NAME = "trusted.json"
FINGERPRINT_BYTES = 16


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 key that signs archives.

    Attributes
    ----------
    name : operator it belongs to
    public : 32 raw bytes of the public key
    fingerprint : readable digest of the public key
    persistent : False if it could not be stored and lives for this process only
    """

    name: str
    public: bytes
    fingerprint: str
    persistent: bool
    _private: Any

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of a message."""
        return bytes(self._private.sign(message))


def fingerprint(public: bytes) -> str:
    """Return groups of four hex digits of the SHA-256 of a raw public key."""
    digest = hashlib.sha256(public).hexdigest()[: 2 * FINGERPRINT_BYTES]
    return "-".join(digest[i : i + 4] for i in range(0, len(digest), 4))


def check(public: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` is that of `message` by the key `public`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def keys_folder() -> Path | None:
    """Return the folder of the keys, None where nothing names one."""
    named = os.environ.get("BATTLIFE_HOME")
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("APPDATA")
        return Path(base) / "battlife" if base else None
    base = os.environ.get("XDG_CONFIG_HOME")
    if base:
        return Path(base) / "battlife"
    try:
        return Path.home() / ".config" / "battlife"
    except RuntimeError:
        return None


def load_or_create_key(folder: Path | None = None, name: str = "") -> SigningKey:
    """Return the operator's key, made at first use.

    Several processes may start at once: the first to put the file in place wins.
    Where no folder can be written the key is not stored, and says so.

    Parameters
    ----------
    folder : of the keys; None takes :func:`keys_folder`
    name : operator, stored when the key is made

    Raises
    ------
    InputError
        The key file is there and is not a key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    place = folder if folder is not None else keys_folder()
    if place is not None and (place / PRIVATE_NAME).is_file():
        return _loaded(place)
    private = Ed25519PrivateKey.generate()
    if place is not None:
        try:
            _store(place, private, name)
        except OSError:
            pass
        else:
            return _loaded(place)
    return _key(private, name or _user(), persistent=False)


def rename(name: str, folder: Path | None = None) -> None:
    """Give the stored key another name; it signs as before.

    Raises
    ------
    InputError
        The name cannot be stored.
    """
    place = folder if folder is not None else keys_folder()
    if place is None:
        raise InputError("there is no folder for keys", "set BATTLIFE_HOME")
    try:
        (place / OPERATOR_NAME).write_text(json.dumps({"name": name}), "utf-8")
    except OSError as error:
        raise InputError(f"{place}: cannot be written: {error.strerror}") from error


def _user() -> str:
    """Return the login name, which is whom a key made on the way belongs to."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "operator"


def trusted_keys(folder: Path | None = None) -> dict[str, str]:
    """Return the fingerprints the operator trusts, with names; his own included.

    Raises
    ------
    InputError
        The list is damaged.
    """
    place = folder if folder is not None else keys_folder()
    found: dict[str, str] = {}
    if place is None:
        return found
    if (place / PRIVATE_NAME).is_file():
        own = _loaded(place)
        found[own.fingerprint] = own.name
    listed = place / TRUSTED_NAME
    if listed.is_file():
        try:
            stored = json.loads(listed.read_text("utf-8"))
            found |= {str(k): str(v) for k, v in stored.items()}
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(
                f"{listed}: is damaged: {error}", "restore it, or trust the keys again"
            ) from error
    return found


def trust(public_key: str, name: str = "", folder: Path | None = None) -> str:
    """Trust a public key (PEM text) and return its fingerprint.

    Raises
    ------
    InputError
        Not a public key, or the list cannot be written.
    """
    who = fingerprint_of(public_key)
    place = folder if folder is not None else keys_folder()
    if place is None:
        raise InputError("there is no folder for keys", "set BATTLIFE_HOME")
    listed = place / TRUSTED_NAME
    stored: dict[str, str] = {}
    if listed.is_file():
        stored = json.loads(listed.read_text("utf-8"))
    stored[who] = name
    part = place / f"{TRUSTED_NAME}.{os.getpid()}.part"
    try:
        place.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(stored, indent=1, sort_keys=True), "utf-8")
        os.replace(part, listed)
    except OSError as error:
        raise InputError(f"{listed}: cannot be written: {error.strerror}") from error
    return who


def fingerprint_of(public_key: str) -> str:
    """Return the fingerprint of a public key in PEM text.

    Raises
    ------
    InputError
        Not an Ed25519 public key.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = serialization.load_pem_public_key(public_key.encode())
    except ValueError as error:
        raise InputError(
            "not a public key", "export one with `battlife keys export -o FILE`"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError("not an Ed25519 public key")
    return fingerprint(key.public_bytes_raw())


def export_public(key: SigningKey) -> str:
    """Return the public key as PEM text."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return (
        Ed25519PublicKey.from_public_bytes(key.public)
        .public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
        .decode()
    )


def _store(place: Path, private: Any, name: str) -> None:
    from cryptography.hazmat.primitives import serialization

    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = place / f"{PRIVATE_NAME}.{os.getpid()}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            # A hard link fails where the key exists: the first process wins, and a
            # key that already signed something is never replaced.
            os.link(part, place / PRIVATE_NAME)
        except FileExistsError:
            return
        except OSError:
            if not (place / PRIVATE_NAME).exists():
                os.replace(part, place / PRIVATE_NAME)
        text = json.dumps({"name": name or _user()})
        (place / OPERATOR_NAME).write_text(text, "utf-8")
    finally:
        part.unlink(missing_ok=True)


def _loaded(place: Path) -> SigningKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = place / PRIVATE_NAME
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: is not a private key: {error}",
            "restore it from a backup, or move it away to make a new one",
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(f"{path}: is not an Ed25519 key")
    name = "operator"
    try:
        name = str(json.loads((place / OPERATOR_NAME).read_text("utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # the name is a courtesy; the key is what counts
    return _key(private, name, persistent=True)


def _key(private: Any, name: str, *, persistent: bool) -> SigningKey:
    public = private.public_key().public_bytes_raw()
    return SigningKey(name, public, fingerprint(public), persistent, private)
