"""A repository folder on the vendor's machine."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile

from repoint.repository.errors import (
    DamagedRepositoryError,
    NoSuchTargetError,
    NotARepositoryError,
    RepositoryExistsError,
    RepositoryWriteError,
    UnknownProductError,
)
from repoint.repository.files import make_public_folder, publication_lock, sync_folders
from repoint.repository.keys import KeyPlace, Passphrases, new_key_place
from repoint.repository.names import TOP_LEVEL_ROLES, catalog_role, roles_for
from repoint.repository.publication import Publication, utc_now
from repoint.repository.settings import SETTINGS_FILE, RepositorySettings
from repoint.repository.state import State, load_state, remove_uncommitted

_UNFINISHED = ".unfinished"
"""Stands in the folder of a repository until it is complete."""


@dataclass(frozen=True)
class RoleSummary:
    """One role as it is published.

    Attributes:
        role: Its name.
        version: Version of its metadata.
        expires: When its metadata expires, in UTC.
        threshold: How many of its keys must sign.
        keys: Key id to URI of the private key; empty where nobody said where it is.
    """

    role: str
    version: int
    expires: datetime
    threshold: int
    keys: dict[str, str]


class Repository:
    """A repository folder; every read gives the state that is published at that moment."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def public(self) -> Path:
        """The folder to serve."""
        return self.path / "public"

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        passphrase: bytes | None,
        signers: Mapping[str, tuple[str, Key]] | None = None,
        pins: Passphrases | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> Repository:
        """Make a repository with its keys, complete and served from the start.

        Args:
            path: A folder that does not exist or is empty. It becomes a repository at the very end.
            passphrase: Encrypts the key files; ``None`` leaves them plain.
            signers: Role to URI and public key, for the roles that shall not get a key file.
            pins: Asked for a role's PIN where its signer wants one.
            now: The clock.

        Raises:
            RepositoryExistsError: Something is at ``path``.
            RepositoryWriteError: A file could not be written.
            KeyProblemError: A key cannot be used.
        """
        if (path / SETTINGS_FILE).exists() and not (path / _UNFINISHED).exists():
            raise RepositoryExistsError(
                f"There is a repository at {path} already", hint="Choose another folder"
            )
        try:
            if path.exists() and not (path.is_dir() and _is_free(path)):
                raise RepositoryExistsError(
                    f"{path} is not an empty folder",
                    hint="Choose a folder that does not exist yet",
                )
            path.mkdir(parents=True, exist_ok=True)
            (path / _UNFINISHED).touch()
            _fill(path, passphrase, signers or {}, pins, now())
        except OSError as error:
            raise RepositoryWriteError(
                f"The repository at {path} could not be made: {error.strerror or error}",
                hint="Correct that, or choose another folder",
            ) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Repository:
        """Open the repository in the folder ``path``.

        Raises:
            NotARepositoryError: There is none.
        """
        if not (path / SETTINGS_FILE).is_file():
            raise NotARepositoryError(
                f"There is no repository at {path}",
                hint="Make one with `repoint repository init`, or give the right folder",
            )
        if (path / _UNFINISHED).exists():
            raise NotARepositoryError(
                f"The repository at {path} was never finished",
                hint="Make it again with `repoint repository init`",
            )
        return cls(path)

    def products(self) -> list[str]:
        """Names of the products, sorted."""
        return _products(self._state())

    def root_bytes(self) -> bytes:
        """The current root, which a device is given to trust at enrolment."""
        return self._state().root_bytes

    def roles(self) -> list[RoleSummary]:
        """What is published of each role, the top level first."""
        state, uris = self._state(), RepositorySettings.read(self.path).uris()
        summaries = []
        for role in state.roles:
            delegation = state.delegator(role).get_delegated_role(role)
            metadata = state.metadata(role)
            assert metadata is not None  # noqa: S101 (the state was verified when it was read)
            keys = {keyid: uris.get(keyid, "") for keyid in delegation.keyids}
            signed = metadata.signed
            summaries.append(
                RoleSummary(role, signed.version, signed.expires, delegation.threshold, keys)
            )
        return summaries

    def target_paths(self, product: str) -> list[str]:
        """Paths of all targets of a product, the catalog included, sorted.

        Raises:
            UnknownProductError: There is no such product.
        """
        state = self._state()
        if product not in _products(state):
            raise UnknownProductError(
                f"The repository at {self.path} has no product {product!r}",
                hint="Add the product first, or correct its name",
            )
        roles = (product, catalog_role(product))
        return sorted({path for role in roles for path in state.targets[role].signed.targets})

    def target_exists(self, target_path: str) -> bool:
        """Whether the published state has a target of that path."""
        return _find(self._state(), target_path) is not None

    def read_target(self, target_path: str) -> bytes:
        """The content of a published target, verified.

        Raises:
            NoSuchTargetError: There is none of that path.
            DamagedRepositoryError: The file is missing or is not what was signed.
        """
        target = _find(self._state(), target_path)
        if target is None:
            raise NoSuchTargetError(
                f"{target_path} is not published in the repository at {self.path}",
                hint="Check product, platform, version, build and letter",
            )
        place = self.public / "targets" / target.get_prefixed_paths()[0]
        try:
            data = place.read_bytes()
            target.verify_length_and_hashes(data)
        except (OSError, LengthOrHashMismatchError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not what was signed"
            raise DamagedRepositoryError(
                f"{place} is damaged: {reason}", hint="Restore it from a backup"
            ) from None
        return data

    @contextlib.contextmanager
    def publication(
        self, passphrases: Passphrases, *, now: Callable[[], datetime] = utc_now
    ) -> Iterator[Publication]:
        """Change the repository: everything in the block takes effect at its end, or nothing does.

        Args:
            passphrases: Asked for a role's passphrase when the first change needs its key.
            now: The clock.

        Raises:
            RepositoryBusyError: Another process is publishing.
            KeyProblemError: A key that must sign is not at hand.
            RepositoryWriteError: A file could not be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(publication_lock(self.path / "lock"))
                shutil.rmtree(self.path / "staging", ignore_errors=True)
                state = self._state()
                remove_uncommitted(self.public / "metadata", state)
            except OSError as error:
                raise RepositoryWriteError(
                    f"{error.filename} cannot be written: {error.strerror}",
                    hint="Run as the owner of the repository",
                ) from error
            settings = RepositorySettings.read(self.path)
            publication = Publication(self.path, settings, state, passphrases, now())
            stack.callback(publication.discard)
            yield publication
            publication.commit()

    def _state(self) -> State:
        return load_state(self.public / "metadata")


def _is_free(folder: Path) -> bool:
    return (folder / _UNFINISHED).exists() or not any(folder.iterdir())


def _fill(
    folder: Path,
    passphrase: bytes | None,
    signers: Mapping[str, tuple[str, Key]],
    pins: Passphrases | None,
    now: datetime,
) -> None:
    _empty(folder)
    try:
        (folder / "keys").mkdir(mode=0o700)
        for name in ("metadata", "targets"):
            make_public_folder(folder / "public" / name, folder / "public")
        places = {
            role: KeyPlace(*signers[role])
            if role in signers
            else new_key_place(folder, role, passphrase)
            for role in TOP_LEVEL_ROLES
        }

        def secret(role: str) -> bytes:
            return pins(role) if role in signers and pins is not None else passphrase or b""

        first = Publication(folder, RepositorySettings(), None, secret, now)
        try:
            first.start(places)
            first.commit()
        finally:
            first.discard()
        sync_folders([folder / "public", folder, folder.parent])
    except BaseException:
        _empty(folder)
        raise
    finally:
        (folder / _UNFINISHED).unlink()
    sync_folders([folder])


def _empty(folder: Path) -> None:
    for name in ("keys", "public", "staging"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / SETTINGS_FILE).unlink(missing_ok=True)


def _products(state: State) -> list[str]:
    delegations = state.targets["targets"].signed.delegations
    return sorted((delegations.roles or {}) if delegations else {})


def _find(state: State, target_path: str) -> TargetFile | None:
    for role in roles_for(target_path):
        metadata = state.targets.get(role)
        if role not in TOP_LEVEL_ROLES and metadata and target_path in metadata.signed.targets:
            return metadata.signed.targets[target_path]
    return None
