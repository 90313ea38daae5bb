"""Private keys: encrypted files, and every other kind that securesystemslib supports.

Services such as KMS, HSM and Vault are reached through ``Signer.from_priv_key_uri``; no code here
is specific to them.
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
"""Returns the passphrase of a role's key file; called with the name of the role."""


class KeyLocation(NamedTuple):
    """A public key and the URI of its private key."""

    uri: str
    key: Key


def generate_key_file(path: Path, passphrase: bytes | None) -> SSlibKey:
    """Generate an Ed25519 key and write it to ``path`` as PKCS #8 PEM, readable only by the owner.

    Args:
        path: The new file.
        passphrase: Encrypts the file; None leaves it unencrypted. The standard format stretches a
            passphrase only a little (PBKDF2), so it must be long.

    Returns:
        The public key.

    Raises:
        KeyFileExistsError: The file exists.
        WrongPassphraseError: The passphrase is empty.
    """
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        if not passphrase:
            raise WrongPassphraseError(
                "The passphrase is empty", hint="Give one, or create keys without a passphrase"
            )
        encryption = BestAvailableEncryption(passphrase)
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        write_new(path, pem, mode=PRIVATE_MODE)
    except FileExistsError:
        raise KeyFileExistsError(
            f"There is already a key file at {path}", hint="Move it away, or choose another name"
        ) from None
    return SSlibKey.from_crypto(private.public_key())


def read_public_key(path: Path) -> SSlibKey:
    """Read the public key of an external private key from a PEM file.

    Raises:
        KeyUnavailableError: The file cannot be read, or is not a usable public key.
    """
    try:
        return SSlibKey.from_crypto(load_pem_public_key(path.read_bytes()))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a public key in PEM"
        raise KeyUnavailableError(
            f"The public key {path} cannot be used: {reason}", hint="Export it again in PEM format"
        ) from None


def new_key_file(folder: Path, role: str, passphrase: bytes | None) -> KeyLocation:
    """Create a key file for ``role`` in the repository ``folder``, under an unused name."""
    # No role name contains "@", so the name of a second key is never that of another role's key.
    names = (f"{role}.pem" if n == 1 else f"{role}@{n}.pem" for n in range(1, 10_000))
    path = next(path for name in names if not (path := folder / "keys" / name).exists())
    return KeyLocation(f"{FILE_SCHEME}:keys/{path.name}", generate_key_file(path, passphrase))


def load_signer(
    uri: str, public_key: Key, passphrases: Passphrases, *, folder: Path, role: str
) -> Signer:
    """Load the private key of ``public_key``.

    Args:
        uri: ``file:`` and a path relative to ``folder``, or a URI that securesystemslib supports.
        public_key: The public key.
        passphrases: Called only if the key file is encrypted or the signer requires a PIN.
        folder: The repository's folder.
        role: The role that signs, for the prompt and for errors.

    Raises:
        WrongPassphraseError: The passphrase does not decrypt the file.
        KeyUnavailableError: The key is missing, does not match, or cannot be reached.
    """
    scheme, _, path = uri.partition(":")
    if scheme == FILE_SCHEME:
        return _load_file(folder / path, public_key, passphrases, role)
    if scheme not in SIGNER_FOR_URI_SCHEME:
        known = ", ".join(sorted({FILE_SCHEME, *SIGNER_FOR_URI_SCHEME}))
        raise KeyUnavailableError(
            f"The key of role {role!r} has the unknown scheme {scheme!r}",
            hint=f"Correct the URI in repository.toml; known schemes: {known}",
        )
    try:
        return Signer.from_priv_key_uri(uri, public_key, lambda _: passphrases(role).decode())
    except UnsupportedLibraryError as error:
        raise KeyUnavailableError(
            f"The key of role {role!r} requires more software: {error}", hint="Install it"
        ) from None
    except Exception as error:  # each service has its own errors
        raise KeyUnavailableError(
            f"The key of role {role!r} cannot be reached at {uri}: {error}",
            hint="Check the URI in repository.toml, and that this machine has access to the key",
        ) from error


class Keyring:
    """The private keys of one publication, loaded when they are first needed."""

    def __init__(self, folder: Path, uris: Mapping[str, str], passphrases: Passphrases) -> None:
        self._folder = folder
        self._uris = dict(uris)
        self._passphrases = passphrases
        self._given: dict[str, bytes] = {}
        self._signers: dict[str, Signer] = {}

    def add(self, location: KeyLocation, passphrase: bytes | None = None) -> None:
        """Add the location of a new private key, and its passphrase if it is known."""
        self._uris[location.key.keyid] = location.uri
        if passphrase is not None:
            self._given[location.key.keyid] = passphrase

    def signers(self, role: str, keys: Iterable[Key], threshold: int) -> list[Signer]:
        """Return signers for ``threshold`` of the keys of a role, without loading more keys.

        Raises:
            KeyUnavailableError: Too few keys are available.
            WrongPassphraseError: A passphrase does not decrypt a key file.
        """
        signers: list[Signer] = []
        missing: list[KeyUnavailableError] = []
        for key in keys:
            if len(signers) == threshold:
                break
            try:
                signers.append(self._signer(role, key))
            except KeyUnavailableError as error:
                missing.append(error)
        if len(signers) < threshold:
            raise missing[0]
        return signers

    def _signer(self, role: str, key: Key) -> Signer:
        if key.keyid not in self._signers:
            uri = self._uris.get(key.keyid)
            if uri is None:
                raise KeyUnavailableError(
                    f"The location of the key {key.keyid[:8]} of role {role!r} is unknown",
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
            hint="Restore the key file, or run on the machine that has it",
        ) from None
    encrypted = b"ENCRYPTED" in pem
    passphrase = passphrases(role) if encrypted else None
    try:
        private = load_pem_private_key(pem, passphrase)
        if not isinstance(public_key, SSlibKey):
            raise ValueError(f"{public_key.keytype} keys are not kept in files")
        return CryptoSigner(private, public_key)
    except (ValueError, TypeError) as error:
        # One wrong passphrase in 256 decrypts to valid padding, but not to a valid key.
        if encrypted and any(word in str(error).lower() for word in ("password", "asn.1")):
            raise WrongPassphraseError(
                f"The passphrase does not decrypt the key of role {role!r} ({path})",
                hint="Try again with the passphrase that the key was created with",
            ) from None
        raise KeyUnavailableError(
            f"{path} is not the key of role {role!r}: {error}",
            hint="Restore the right key file",
        ) from None
