"""Private keys: own encrypted files, and every other kind that securesystemslib can reach.

Heavy services (KMS, HSM, Vault) come through ``Signer.from_priv_key_uri``; nothing here knows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.exceptions import UnsupportedLibraryError
from securesystemslib.signer import (
    SIGNER_FOR_URI_SCHEME,
    CryptoSigner,
    Key,
    Signer,
    SSlibKey,
)

from repoint.fs.durable import write_new
from repoint.repository.errors import KeyFileExistsError, KeyUnavailableError, WrongPassphraseError
from repoint.repository.files import PRIVATE_MODE

FILE_SCHEME = "file"

Passphrases = Callable[[str], bytes]
"""Gives the passphrase of a role's key file; called with the role's name."""


class KeyPlace(NamedTuple):
    """A public key, and the URI under which its private half is found."""

    uri: str
    key: Key


def generate_key_file(path: Path, passphrase: bytes | None) -> SSlibKey:
    """Make an Ed25519 key and write it to ``path`` as PKCS #8 PEM, readable by the owner alone.

    Args:
        path: The new file.
        passphrase: Encrypts the file; ``None`` leaves it plain. The standard form stretches a
            passphrase only a little (PBKDF2), so it must be long enough by itself.

    Returns:
        The public key.

    Raises:
        KeyFileExistsError: There is a file already.
        WrongPassphraseError: The passphrase is empty.
    """
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        if not passphrase:
            raise WrongPassphraseError(
                "The passphrase is empty", hint="Give one, or ask for keys without a passphrase"
            )
        encryption = BestAvailableEncryption(passphrase)
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        write_new(path, pem, mode=PRIVATE_MODE)
    except FileExistsError:
        raise KeyFileExistsError(
            f"There is a key file at {path} already", hint="Move it away, or choose another name"
        ) from None
    return SSlibKey.from_crypto(private.public_key())


def read_public_key(path: Path) -> SSlibKey:
    """Read the public half of a key that a service or a module keeps, from a PEM file.

    Raises:
        KeyUnavailableError: The file cannot be read, or holds no public key that can be used.
    """
    try:
        return SSlibKey.from_crypto(load_pem_public_key(path.read_bytes()))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no public key in PEM"
        raise KeyUnavailableError(
            f"The public key {path} cannot be used: {reason}", hint="Export it again, as PEM"
        ) from None


def new_key_place(folder: Path, role: str, passphrase: bytes | None) -> KeyPlace:
    """Make a key file for ``role`` in the repository ``folder``, under a name that is free."""
    # "@" stands in no role name, so a second key of one role cannot take another role's name.
    names = (f"{role}.pem" if n == 1 else f"{role}@{n}.pem" for n in range(1, 10_000))
    path = next(path for name in names if not (path := folder / "keys" / name).exists())
    return KeyPlace(f"{FILE_SCHEME}:keys/{path.name}", generate_key_file(path, passphrase))


def load_signer(
    uri: str, public_key: Key, passphrases: Passphrases, *, folder: Path, role: str
) -> Signer:
    """Load the private half of ``public_key``.

    Args:
        uri: ``file:`` and a path relative to ``folder``, or a URI that securesystemslib knows.
        public_key: What the private key must fit.
        passphrases: Asked once, and only if the key file is encrypted or the signer wants a PIN.
        folder: The repository's folder.
        role: The role that signs, for the question and for errors.

    Raises:
        WrongPassphraseError: The passphrase does not open the file.
        KeyUnavailableError: The key is not there, does not fit, or cannot be reached.
    """
    scheme, _, place = uri.partition(":")
    if scheme == FILE_SCHEME:
        return _load_file(folder / place, public_key, passphrases, role)
    if scheme not in SIGNER_FOR_URI_SCHEME:
        known = ", ".join(sorted({FILE_SCHEME, *SIGNER_FOR_URI_SCHEME}))
        raise KeyUnavailableError(
            f"The key of role {role!r} has the unknown scheme {scheme!r}",
            hint=f"Correct the URI in repository.toml; known are {known}",
        )
    try:
        return Signer.from_priv_key_uri(uri, public_key, lambda _: passphrases(role).decode())
    except UnsupportedLibraryError as error:
        raise KeyUnavailableError(
            f"The key of role {role!r} needs more software: {error}", hint="Install it"
        ) from None
    except Exception as error:  # each service raises errors of its own
        raise KeyUnavailableError(
            f"The key of role {role!r} cannot be reached at {uri}: {error}",
            hint="Check the URI in repository.toml, and that this machine may use the key",
        ) from error


class Keyring:
    """The private keys of one publication, loaded when they are needed and then kept."""

    def __init__(self, folder: Path, uris: Mapping[str, str], passphrases: Passphrases) -> None:
        self._folder = folder
        self._uris = dict(uris)
        self._passphrases = passphrases
        self._given: dict[str, bytes] = {}
        self._signers: dict[str, Signer] = {}

    def add(self, place: KeyPlace, passphrase: bytes | None = None) -> None:
        """Tell where the private half of a new key is, and its passphrase if that is known."""
        self._uris[place.key.keyid] = place.uri
        if passphrase is not None:
            self._given[place.key.keyid] = passphrase

    def signers(self, role: str, keys: Iterable[Key], threshold: int) -> list[Signer]:
        """Signers for ``threshold`` of the keys of a role; no more passphrases are asked for.

        Raises:
            KeyUnavailableError: Too few keys are at hand.
            WrongPassphraseError: A passphrase does not open a key file.
        """
        found: list[Signer] = []
        missing: list[KeyUnavailableError] = []
        for key in keys:
            if len(found) == threshold:
                break
            try:
                found.append(self._signer(role, key))
            except KeyUnavailableError as error:
                missing.append(error)
        if len(found) < threshold:
            raise missing[0]
        return found

    def _signer(self, role: str, key: Key) -> Signer:
        if key.keyid not in self._signers:
            uri = self._uris.get(key.keyid)
            if uri is None:
                raise KeyUnavailableError(
                    f"Nobody said where the key {key.keyid[:8]} of role {role!r} is",
                    hint=f"Write its URI under [roles.{role}.keys] in repository.toml",
                )
            given = self._given.get(key.keyid)
            passphrases = self._passphrases if given is None else lambda _: given
            self._signers[key.keyid] = load_signer(
                uri, key, passphrases, folder=self._folder, role=role
            )
        return self._signers[key.keyid]


def _load_file(path: Path, public_key: Key, passphrases: Passphrases, role: str) -> Signer:
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise KeyUnavailableError(
            f"The key of role {role!r} cannot be read at {path}: {error.strerror}",
            hint="Bring the key file back, or work on the machine that holds it",
        ) from None
    encrypted = b"ENCRYPTED" in pem
    passphrase = passphrases(role) if encrypted else None
    try:
        private = load_pem_private_key(pem, passphrase)
        if not isinstance(public_key, SSlibKey):
            raise ValueError(f"{public_key.keytype} keys are not kept in files")
        return CryptoSigner(private, public_key)
    except (ValueError, TypeError) as error:
        # With one wrong passphrase in 256, what comes out happens to end like a key, and is none.
        if encrypted and any(said in str(error).lower() for said in ("password", "asn.1")):
            raise WrongPassphraseError(
                f"The passphrase does not open the key of role {role!r} ({path})",
                hint="Try again with the passphrase that was given when the key was made",
            ) from None
        raise KeyUnavailableError(
            f"{path} does not hold the key of role {role!r}: {error}",
            hint="Bring the right key file back",
        ) from None
