"""A publication: all of its changes are served, or none.

Everything is signed and staged first. Then targets and metadata are renamed to names that nothing
refers to yet. The commit point is the rename of ``timestamp.json``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from securesystemslib.signer import Key, Signature

from repoint.fs.durable import rename_durably
from repoint.fs.uninterrupted import uninterrupted
from repoint.repository.errors import (
    KeyUnavailableError,
    ProductExistsError,
    RepositoryWriteError,
    TargetNotAllowedError,
    UnknownProductError,
    UnknownRoleError,
)
from repoint.repository.files import (
    PRIVATE_MODE,
    PUBLIC_MODE,
    stage_bytes,
    sync_folders,
)
from repoint.repository.keys import FILE_SCHEME, KeyLocation, Keyring, Passphrases, new_key_file
from repoint.repository.metadata_transaction import Changeset, MetadataTransaction
from repoint.repository.names import (
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    TOP_LEVEL_ROLES,
    catalog_path,
    catalog_role,
    check_product_role,
    halt_path,
    halt_role,
    product_patterns,
)
from repoint.repository.settings import SETTINGS_FILE, RepositorySettings, folder_address
from repoint.repository.staged_targets import StagedTargets
from repoint.repository.state import State


def utc_now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


class Publication:
    """Changes to a repository that take effect together when they are committed.

    Created by ``Repository.publication``. A key is loaded, and its passphrase requested, when the
    first change needs it. Keys of unchanged roles are never loaded.
    """

    def __init__(
        self,
        folder: Path,
        settings: RepositorySettings,
        committed: State | None,
        passphrases: Passphrases,
        now: datetime,
    ) -> None:
        self._folder = folder
        self._public = folder / "public"
        self._staging = folder / "staging"
        self._settings = settings
        self._now = now
        self._keyring = Keyring(folder, settings.uris(), passphrases)
        self._transaction = MetadataTransaction(committed, self._keyring, self._lifetime, now)
        self._targets = StagedTargets(self._staging, self._public, self._transaction)
        self._new_keys: list[Path] = []
        self._committed = False

    def start(self, locations: Mapping[str, KeyLocation]) -> None:
        """Create the first metadata, with one key for each top-level role."""
        for role, location in locations.items():
            self._use(role, location)
        self._transaction.start({role: location.key for role, location in locations.items()})

    def new_key_file(self, role: str, passphrase: bytes | None) -> KeyLocation:
        """Create a key file in the repository's ``keys`` folder, for ``add_product`` or ``rotate``.

        It is removed if the publication is discarded. Without a passphrase it is not encrypted.
        """
        with uninterrupted():
            try:
                location = new_key_file(self._folder, role, passphrase)
            except OSError as error:
                raise self._write_error(error) from error
            self._keyring.add(location, passphrase)
            self._new_keys.append(self._folder / location.uri.removeprefix(f"{FILE_SCHEME}:"))
        return location

    def add_product(
        self,
        name: str,
        *,
        passphrase: bytes | None,
        signers: Mapping[str, tuple[str, Key]] | None = None,
    ) -> None:
        """Add a product: a role for its baselines and improvements, its catalog and its halts each.

        Args:
            name: The product's name.
            passphrase: Encrypts the new key files; None leaves them unencrypted.
            signers: Role to URI and public key, for the roles whose keys are not files.

        Raises:
            NameNotAllowedError: The name cannot name a product.
            ProductExistsError: The product exists.
            KeyProblemError: A key that must sign is not available.
        """
        check_product_role(name)
        if name in self._transaction.roles:
            raise ProductExistsError(
                f"The repository already has the product {name!r}", hint="Choose another name"
            )
        external = signers or {}
        self._transaction.change(TARGETS)
        for role, patterns in (
            (name, product_patterns(name)),
            (catalog_role(name), [catalog_path(name)]),
            (halt_role(name), [halt_path(name)]),
        ):
            location = (
                KeyLocation(*external[role])
                if role in external
                else self.new_key_file(role, passphrase)
            )
            self._use(role, location)
            self._transaction.delegate(role, location.key, patterns)

    def add_targets(
        self, product: str, files: Mapping[str, Path | bytes], *, published: int = 0
    ) -> None:
        """Publish immutable targets: baselines, improvements and patches.

        Args:
            product: The product.
            files: The target paths, each with its content or a file that holds it.
            published: The time that the signed metadata gives as that of the publication, in
                seconds since 1970; 0 for none.

        Raises:
            UnknownProductError: The repository has no such product.
            TargetNotAllowedError: The product's role may not sign one of the paths.
            TargetExistsError: A path is already published with different content.
            KeyProblemError: A key that must sign is not available.
            RepositoryWriteError: A file cannot be read or written.
        """
        self._check_product(product)
        for path, method in (
            (catalog_path(product), "put_catalog"),
            (halt_path(product), "put_halt"),
        ):
            if path in files:
                raise TargetNotAllowedError(
                    f"{path} is signed by a role of its own", hint=f"Publish it with {method}"
                )
        self._add(product, files, replace=False, published=published)

    def put_catalog(self, product: str, data: bytes) -> None:
        """Publish a product's catalog, replacing the previous one. Needs only online keys.

        Raises:
            UnknownProductError: The repository has no such product.
            KeyProblemError: A key that must sign is not available.
        """
        self._check_product(product)
        self._add(catalog_role(product), {catalog_path(product): data}, replace=True)

    def put_halt(self, product: str, data: bytes) -> None:
        """Publish a product's halts, replacing the previous ones.

        Needs the key of its halt role and those of snapshot and timestamp, never the catalog's.

        Raises:
            UnknownProductError: The repository has no such product.
            KeyProblemError: A key that must sign is not available.
        """
        self._check_product(product)
        self._add(halt_role(product), {halt_path(product): data}, replace=True)

    def require_halt_keys(self, product: str) -> None:
        """Load the keys that `put_halt` needs, and change nothing.

        Raises:
            UnknownProductError: The repository has no such product.
            KeyProblemError: A key that must sign is not available.
        """
        self._check_product(product)
        self._transaction.require_keys(halt_role(product))

    def keep_fresh(self, product: str, until: int) -> None:
        """Give the timestamp a lifetime of one day until a time, in seconds since 1970.

        A time that has passed, such as 0, ends that.

        While a rollout is under way, a device that sees old metadata must not go on for long.
        """
        if until > self._now.timestamp():
            self._settings.fresh_until[product] = until
        else:
            self._settings.fresh_until.pop(product, None)

    def serve_at(self, address: str) -> None:
        """Keep the https address at which the public folder is served; no key is needed.

        Raises:
            AddressError: It is malformed, not https, or the address of a file.
        """
        self._settings.address = str(folder_address(address))
        self._write_settings()

    def signatures(self, role: str, data: bytes) -> list[Signature]:
        """Sign a document other than the repository's metadata with the keys of a role.

        Raises:
            KeyProblemError: A key that must sign is not available.
        """
        return self._transaction.signatures(role, data)

    def refresh(self) -> list[str]:
        """Renew snapshot, timestamp, and every role in the last third of its lifetime.

        Returns:
            Roles that expire soon but were not renewed because their keys are not available.
        """
        skipped: list[str] = []
        for role in sorted(self._transaction.roles - {SNAPSHOT, TIMESTAMP}):
            if self._transaction.expires(role) - self._now > self._lifetime(role) / 3:
                continue
            try:
                self._transaction.change(role)
            except KeyUnavailableError:
                skipped.append(role)
        self._transaction.change(SNAPSHOT)
        self._transaction.change(TIMESTAMP)
        return skipped

    def rotate(self, role: str, keys: Sequence[tuple[str, Key]], threshold: int = 1) -> None:
        """Replace the keys or the threshold of a role.

        Rotation of root needs the old keys; for any other role, the keys of its delegator sign. If
        the publication is killed while a key of timestamp, snapshot or targets changes, devices
        may accept both the old and the new key until the rotation is repeated.

        Args:
            role: The role.
            keys: All keys of the role, including the ones it keeps.
            threshold: The number of keys that must sign.

        Raises:
            UnknownRoleError: The repository has no such role.
            ThresholdError: The threshold does not fit the number of keys.
            KeyProblemError: A key that must sign is not available.
        """
        if role not in self._transaction.roles:
            raise UnknownRoleError(
                f"The repository has no role {role!r}", hint="`repoint show` lists the roles"
            )
        locations = [KeyLocation(*key) for key in keys]
        for location in locations:
            self._use(role, location)
        keys_only = [location.key for location in locations]
        self._transaction.replace_keys(role, keys_only, threshold)

    def commit(self) -> None:
        """Commit all changes.

        Raises:
            KeyProblemError: A key did not sign; nothing is published.
            RepositoryWriteError: A file could not be written.
        """
        if not self._transaction.is_changed:
            return
        changeset = self._transaction.finish()
        with uninterrupted():
            self._write(changeset)

    def _write(self, changeset: Changeset) -> None:
        # From here on a published root may list the new keys, so they are kept in any case.
        self._new_keys.clear()
        try:
            self._write_settings()
            folders = self._targets.place()
            metadata = self._public / "metadata"
            for name, data in changeset.unreferenced.items():
                os.replace(self._stage(data), metadata / name)  # noqa: PTH105
            sync_folders({*folders, metadata})
            for name, data in changeset.steps:
                staged = self._stage(data)
                if name == "timestamp.json":
                    _make_newer(staged, metadata / name)
                os.replace(staged, metadata / name)  # noqa: PTH105
                self._committed = self._committed or name == "timestamp.json"
                sync_folders([metadata])
            self._drop_old_keys()
        except OSError as error:
            raise self._write_error(error) from error

    def discard(self) -> None:
        """Remove the staged files, and the new keys of a publication that was not committed."""
        with uninterrupted():
            for path in self._new_keys:
                path.unlink(missing_ok=True)
            shutil.rmtree(self._staging, ignore_errors=True)

    def _check_product(self, product: str) -> None:
        if product not in self._transaction.roles or product in TOP_LEVEL_ROLES:
            raise UnknownProductError(
                f"The repository has no product {product!r}", hint="Add the product first"
            )

    def _add(
        self, role: str, files: Mapping[str, Path | bytes], *, replace: bool, published: int = 0
    ) -> None:
        try:
            self._targets.add(role, files, replace=replace, published=published)
        except OSError as error:
            raise self._write_error(error) from error

    def _stage(self, data: bytes, mode: int = PUBLIC_MODE) -> Path:
        self._staging.mkdir(mode=0o700, exist_ok=True)
        return stage_bytes(self._staging, data, mode)

    def _use(self, role: str, location: KeyLocation) -> None:
        self._keyring.add(location)
        self._settings.role(role).keys[location.key.keyid] = location.uri

    def _write_settings(self) -> None:
        data, path = self._settings.encode(), self._folder / SETTINGS_FILE
        if not path.exists() or path.read_bytes() != data:
            rename_durably(self._stage(data, PRIVATE_MODE), path)

    def _drop_old_keys(self) -> None:
        for role, settings in self._settings.roles.items():
            if role in self._transaction.roles:
                in_use = set(self._transaction.key_ids(role))
                settings.keys = {i: uri for i, uri in settings.keys.items() if i in in_use}
        self._write_settings()

    def _lifetime(self, role: str) -> timedelta:
        days = self._settings.role(role).expiry_days
        if role == TIMESTAMP and self._settings.is_kept_fresh(int(self._now.timestamp())):
            days = 1
        return timedelta(days=days)

    def _write_error(self, error: OSError) -> RepositoryWriteError:
        path = error.filename2 or error.filename or self._folder
        outcome = (
            "The changes are published; publish again to complete the cleanup"
            if self._committed
            else "The previous state is still served; correct the problem and try again"
        )
        return RepositoryWriteError(
            f"Publishing failed at {path}: {error.strerror or error}", hint=outcome
        )


def _make_newer(staged: Path, previous: Path) -> None:
    # Web servers derive the entity tag of a file from its length and its time in whole seconds.
    # Two timestamps have the same length, so within one second a device could not tell them apart.
    try:
        earliest = int(previous.stat().st_mtime) + 1
    except FileNotFoundError:
        return
    if staged.stat().st_mtime < earliest:
        os.utime(staged, (earliest, earliest))
