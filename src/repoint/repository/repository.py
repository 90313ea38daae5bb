"""The public interface of a repository folder on the vendor's machine."""

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

from repoint.model.extras import require_vendor
from repoint.repository.errors import (
    DamagedRepositoryError,
    NoSuchTargetError,
    NotARepositoryError,
    RepositoryExistsError,
    RepositoryWriteError,
    UnknownProductError,
)
from repoint.repository.files import make_public_folder, publication_lock, sync_folders
from repoint.repository.keys import KeyLocation, Passphrases, new_key_file
from repoint.repository.names import TOP_LEVEL_ROLES, catalog_role, halt_role, roles_for
from repoint.repository.publication import Publication, utc_now
from repoint.repository.settings import SETTINGS_FILE, RepositorySettings
from repoint.repository.state import State, current_state, load_state, remove_uncommitted

_UNFINISHED = ".unfinished"
"""A file that marks a repository that is not complete yet."""


@dataclass(frozen=True)
class RoleSummary:
    """The published state of a role.

    Attributes:
        role: Its name.
        version: Version of its metadata.
        expires: When its metadata expires, in UTC.
        threshold: The number of keys that must sign.
        keys: Key id to URI of the private key; empty if it is unknown.
    """

    role: str
    version: int
    expires: datetime
    threshold: int
    keys: dict[str, str]


class Repository:
    """A repository folder.

    Every method reads the state that is published at that moment. Changes go through `publication`;
    `Publisher` makes the usual ones.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: State | None = None

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
        """Create a repository with its keys, ready to be served.

        Args:
            path: A folder that does not exist or is empty. It becomes a repository at the end.
            passphrase: Encrypts the key files; None leaves them unencrypted.
            signers: Role to URI and public key, for the roles whose keys are not files.
            pins: Returns the PIN for a role's signer, if it requires one.
            now: The clock.

        Raises:
            RepositoryExistsError: ``path`` exists and is not empty.
            RepositoryWriteError: A file could not be written.
            KeyProblemError: A key cannot be used.
            MissingExtraError: The extra ``vendor`` is not installed.
        """
        require_vendor("repoint.Repository")
        if (path / SETTINGS_FILE).exists() and not (path / _UNFINISHED).exists():
            raise RepositoryExistsError(
                f"There is already a repository at {path}", hint="Choose another folder"
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
                f"The repository at {path} could not be created: {error.strerror or error}",
                hint="Correct the problem, or choose another folder",
            ) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Repository:
        """Open the repository in the folder ``path``.

        Raises:
            NotARepositoryError: The folder is not a repository.
        """
        if not (path / SETTINGS_FILE).is_file():
            raise NotARepositoryError(
                f"There is no repository at {path.absolute()}",
                hint="Create one with `repoint repository init`, or name the right folder",
            )
        if (path / _UNFINISHED).exists():
            raise NotARepositoryError(
                f"The repository at {path} is incomplete",
                hint="Create it again with `repoint repository init`",
            )
        return cls(path)

    def products(self) -> list[str]:
        """Return the names of the products, sorted."""
        return _products(self._state())

    def root_bytes(self) -> bytes:
        """Return the current root, which devices need for enrolment."""
        return self._state().root_bytes

    def roles(self) -> list[RoleSummary]:
        """Return the published state of each role, the top level first."""
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
        """Return the paths of all targets of a product and its catalog, sorted.

        Raises:
            UnknownProductError: The repository has no such product.
        """
        state = self._state()
        if product not in _products(state):
            raise UnknownProductError(
                f"The repository at {self.path} has no product {product[:60]!r}",
                hint=f"Its products: {', '.join(_products(state)) or 'none'}",
            )
        roles = (product, catalog_role(product), halt_role(product))
        return sorted({path for role in roles for path in state.targets[role].signed.targets})

    def target_exists(self, target_path: str) -> bool:
        """Return whether a target of that path is published."""
        return _find(self._state(), target_path) is not None

    def read_target(self, target_path: str) -> bytes:
        """Return the verified content of a published target.

        Raises:
            NoSuchTargetError: No target of that path is published.
            DamagedRepositoryError: The file is missing or differs from what was signed.
        """
        target = _find(self._state(), target_path)
        if target is None:
            raise NoSuchTargetError(
                f"{target_path} is not published in the repository at {self.path}",
                hint="Check product, platform, version, build and letter",
            )
        path = self.public / "targets" / target.get_prefixed_paths()[0]
        try:
            data = path.read_bytes()
            target.verify_length_and_hashes(data)
        except (OSError, LengthOrHashMismatchError) as error:
            reason = (
                error.strerror if isinstance(error, OSError) else "it differs from what was signed"
            )
            raise DamagedRepositoryError(
                f"{path} is damaged: {reason}", hint="Restore it from a backup"
            ) from None
        return data

    @property
    def address(self) -> str:
        """The https address of the public folder, without a slash at its end; empty if unknown.

        Raises:
            SettingsError: The settings cannot be read.
        """
        return RepositorySettings.read(self.path).address

    def published(self, target_path: str) -> int:
        """Return when a target was published, in seconds since 1970; 0 if it is not recorded."""
        target = _find(self._state(), target_path)
        custom = target.custom if target is not None else None
        return int((custom or {}).get("published", 0))

    @contextlib.contextmanager
    def publication(
        self,
        passphrases: Passphrases,
        *,
        now: Callable[[], datetime] = utc_now,
        afterwards: Callable[[Publication], None] | None = None,
    ) -> Iterator[Publication]:
        """Change the repository. The changes made in the block take effect together at its end.

        If the block raises an error, nothing changes.

        Args:
            passphrases: Called with the role when the first change needs its key.
            now: The clock.
            afterwards: Called once the changes have taken effect, while nobody else may publish.

        Raises:
            RepositoryBusyError: Another process is publishing.
            KeyProblemError: A key that must sign is not available.
            RepositoryWriteError: A file could not be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(publication_lock(self.path / "lock"))
                shutil.rmtree(self.path / "staging", ignore_errors=True)
                state = load_state(self.public / "metadata")  # a publication changes it
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
            if afterwards is not None:
                afterwards(publication)

    def _state(self) -> State:
        self._known = current_state(self.public / "metadata", self._known)
        return self._known


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
        locations = {
            role: KeyLocation(*signers[role])
            if role in signers
            else new_key_file(folder, role, passphrase)
            for role in TOP_LEVEL_ROLES
        }

        def secret(role: str) -> bytes:
            return pins(role) if role in signers and pins is not None else passphrase or b""

        first = Publication(folder, RepositorySettings(), None, secret, now)
        try:
            first.start(locations)
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
