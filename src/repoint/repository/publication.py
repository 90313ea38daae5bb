"""One publication: all of its changes are served, or none.

Everything is signed and staged first. Then targets and metadata get their names, which nothing
refers to yet, and last one rename of ``timestamp.json`` puts them all in force.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.metadata import TargetFile

from repoint.fs.durable import rename_durably
from repoint.repository.errors import (
    KeyUnavailableError,
    ProductExistsError,
    RepositoryWriteError,
    TargetExistsError,
    TargetNotAllowedError,
    UnknownProductError,
    UnknownRoleError,
)
from repoint.repository.files import (
    PRIVATE_MODE,
    PUBLIC_MODE,
    make_public_folder,
    stage_bytes,
    stage_copy,
    sync_folders,
)
from repoint.repository.keys import FILE_SCHEME, KeyPlace, Keyring, Passphrases, new_key_place
from repoint.repository.metadata_transaction import WorkingCopy
from repoint.repository.names import (
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    TOP_LEVEL_ROLES,
    catalog_path,
    catalog_role,
    check_product_role,
    product_patterns,
)
from repoint.repository.settings import SETTINGS_FILE, RepositorySettings
from repoint.repository.state import State


def utc_now() -> datetime:
    """The time on the clock."""
    return datetime.now(UTC)


class Publication:
    """Changes to a repository that take effect together when they are committed.

    Made by ``Repository.publication``. A key is loaded, and its passphrase asked for, when the
    first change needs it; keys of roles that do not change are never touched.
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
        self._work = WorkingCopy(committed, self._keyring, self._lifetime, now)
        self._staged: dict[str, Path] = {}
        self._made_keys: list[Path] = []
        self._in_force = False

    def start(self, places: Mapping[str, KeyPlace]) -> None:
        """Begin the repository with one key for each top-level role."""
        for role, place in places.items():
            self._use(role, place)
        self._work.start({role: place.key for role, place in places.items()})

    def new_key_file(self, role: str, passphrase: bytes | None) -> KeyPlace:
        """Make a key file in the repository's ``keys`` folder, for ``add_product`` or ``rotate``.

        It is removed again if the publication is given up. ``None`` leaves the file unencrypted.
        """
        try:
            place = new_key_place(self._folder, role, passphrase)
        except OSError as error:
            raise self._write_error(error) from error
        self._keyring.add(place, passphrase)
        self._made_keys.append(self._folder / place.uri.removeprefix(f"{FILE_SCHEME}:"))
        return place

    def add_product(
        self,
        name: str,
        *,
        passphrase: bytes | None,
        signers: Mapping[str, tuple[str, Key]] | None = None,
    ) -> None:
        """Add a product: one role for its improvements, one for its catalog.

        Args:
            name: The product's name.
            passphrase: Encrypts the key files that are made; ``None`` leaves them plain.
            signers: Role to key, for the roles that shall not get a key file.

        Raises:
            NameNotAllowedError: The name cannot name a product.
            ProductExistsError: There is such a product.
            KeyProblemError: A key that must sign is not at hand.
        """
        check_product_role(name)
        if name in self._work.roles:
            raise ProductExistsError(
                f"The repository has the product {name!r} already", hint="Choose another name"
            )
        given = signers or {}
        self._work.change(TARGETS)
        for role, patterns in (
            (name, product_patterns(name)),
            (catalog_role(name), [catalog_path(name)]),
        ):
            place = KeyPlace(*given[role]) if role in given else self.new_key_file(role, passphrase)
            self._use(role, place)
            self._work.delegate(role, place.key, patterns)

    def add_targets(self, product: str, files: Mapping[str, Path | bytes]) -> None:
        """Publish targets that never change: baselines, improvements and patches.

        Raises:
            UnknownProductError: There is no such product.
            TargetNotAllowedError: The product's role may not sign one of the paths.
            TargetExistsError: One is published already, with another content.
            KeyProblemError: A key that must sign is not at hand.
            RepositoryWriteError: A file cannot be read or written.
        """
        self._check_product(product)
        if catalog_path(product) in files:
            raise TargetNotAllowedError(
                f"{catalog_path(product)} is signed by the catalog's own role",
                hint="Publish it as the catalog",
            )
        self._add(product, files, replace=False)

    def put_catalog(self, product: str, data: bytes) -> None:
        """Publish a product's catalog in place of the one before; needs only online keys.

        Raises:
            UnknownProductError: There is no such product.
            KeyProblemError: A key that must sign is not at hand.
        """
        self._check_product(product)
        self._add(catalog_role(product), {catalog_path(product): data}, replace=True)

    def refresh(self) -> list[str]:
        """Sign snapshot and timestamp anew, and every role in the last third of its lifetime.

        Returns:
            Roles that expire soon and were left alone because their key is not at hand.
        """
        left: list[str] = []
        for role in sorted(self._work.roles - {SNAPSHOT, TIMESTAMP}):
            if self._work.expires(role) - self._now > self._lifetime(role) / 3:
                continue
            try:
                self._work.change(role)
            except KeyUnavailableError:
                left.append(role)
        self._work.change(SNAPSHOT)
        self._work.change(TIMESTAMP)
        return left

    def rotate(self, role: str, keys: Sequence[tuple[str, Key]], threshold: int = 1) -> None:
        """Give a role other keys, or another threshold.

        The old keys are needed for root alone; for any other role its delegator's keys are. If
        the publication is killed while a key of timestamp, snapshot or targets changes, devices
        may accept the old key and the new one until the rotation is done again.

        Args:
            role: The role.
            keys: All keys it shall have, kept ones included.
            threshold: How many of them must sign.

        Raises:
            UnknownRoleError: There is no such role.
            ThresholdError: The threshold does not fit the number of keys.
            KeyProblemError: A key that must sign is not at hand.
        """
        if role not in self._work.roles:
            raise UnknownRoleError(
                f"The repository has no role {role!r}", hint="`repoint show` lists the roles"
            )
        places = [KeyPlace(*key) for key in keys]
        for place in places:
            self._use(role, place)
        self._work.replace_keys(role, [place.key for place in places], threshold)

    def commit(self) -> None:
        """Put all changes in force.

        Raises:
            KeyProblemError: A key did not sign; nothing is published.
            RepositoryWriteError: A file could not be written.
        """
        if not self._work.is_changed:
            return
        edition = self._work.finish()
        # From here on a served root may name the new keys, so they are kept whatever happens.
        self._made_keys.clear()
        try:
            self._write_settings()
            folders = self._place_targets()
            metadata = self._public / "metadata"
            for name, data in edition.beside.items():
                os.replace(self._stage(data), metadata / name)  # noqa: PTH105
            sync_folders({*folders, metadata})
            for name, data in edition.steps:
                staged = self._stage(data)
                if name == "timestamp.json":
                    _make_younger(staged, metadata / name)
                os.replace(staged, metadata / name)  # noqa: PTH105
                self._in_force = self._in_force or name == "timestamp.json"
                sync_folders([metadata])
            self._forget_old_keys()
        except OSError as error:
            raise self._write_error(error) from error

    def discard(self) -> None:
        """Remove what was staged, and the key files of a publication that was given up."""
        for path in self._made_keys:
            path.unlink(missing_ok=True)
        shutil.rmtree(self._staging, ignore_errors=True)

    def _check_product(self, product: str) -> None:
        if product not in self._work.roles or product in TOP_LEVEL_ROLES:
            raise UnknownProductError(
                f"The repository has no product {product!r}", hint="Add the product first"
            )

    def _add(self, role: str, files: Mapping[str, Path | bytes], *, replace: bool) -> None:
        delegation = self._work.delegated_role(role)
        for path in files:
            if not delegation.is_delegated_path(path):
                raise TargetNotAllowedError(
                    f"The role {role!r} may not sign {path}",
                    hint=f"It signs {', '.join(delegation.paths or [])}",
                )
        for path, content in files.items():
            self._add_one(role, path, content, replace=replace)

    def _add_one(self, role: str, path: str, content: Path | bytes, *, replace: bool) -> None:
        try:
            staged, target = self._stage_target(path, content)
        except OSError as error:
            raise self._write_error(error) from error
        targets = self._work.targets(role).targets
        known = targets.get(path)
        if known is not None and known.hashes == target.hashes:
            staged.unlink()
            return
        if known is not None and not replace:
            staged.unlink()
            raise TargetExistsError(
                f"{path} is published already, with another content",
                hint="What is published never changes; publish the next letter or build",
            )
        self._work.change(role)
        targets[path] = target
        self._staged[path] = staged

    def _stage_target(self, path: str, content: Path | bytes) -> tuple[Path, TargetFile]:
        self._staging.mkdir(mode=0o700, exist_ok=True)
        if isinstance(content, Path):
            staged, length, digest = stage_copy(self._staging, content, PUBLIC_MODE)
        else:
            staged = stage_bytes(self._staging, content, PUBLIC_MODE)
            length, digest = len(content), hashlib.sha256(content).hexdigest()
        return staged, TargetFile(length, {"sha256": digest}, path)

    def _place_targets(self) -> set[Path]:
        folders: set[Path] = set()
        for role in self._work.roles - {ROOT, SNAPSHOT, TIMESTAMP}:
            for path, target in self._work.targets(role).targets.items():
                if path in self._staged:
                    place = self._public / "targets" / target.get_prefixed_paths()[0]
                    folders |= make_public_folder(place.parent, self._public)
                    os.replace(self._staged[path], place)  # noqa: PTH105
        return folders

    def _stage(self, data: bytes, mode: int = PUBLIC_MODE) -> Path:
        self._staging.mkdir(mode=0o700, exist_ok=True)
        return stage_bytes(self._staging, data, mode)

    def _use(self, role: str, place: KeyPlace) -> None:
        self._keyring.add(place)
        self._settings.role(role).keys[place.key.keyid] = place.uri

    def _write_settings(self) -> None:
        data, path = self._settings.encode(), self._folder / SETTINGS_FILE
        if not path.exists() or path.read_bytes() != data:
            rename_durably(self._stage(data, PRIVATE_MODE), path)

    def _forget_old_keys(self) -> None:
        for role, settings in self._settings.roles.items():
            if role in self._work.roles:
                in_use = set(self._work.key_ids(role))
                settings.keys = {i: uri for i, uri in settings.keys.items() if i in in_use}
        self._write_settings()

    def _lifetime(self, role: str) -> timedelta:
        return timedelta(days=self._settings.role(role).expiry_days)

    def _write_error(self, error: OSError) -> RepositoryWriteError:
        place = error.filename2 or error.filename or self._folder
        outcome = (
            "The changes are published all the same; publish again to finish"
            if self._in_force
            else "What was published before is still served; correct that, then try again"
        )
        return RepositoryWriteError(
            f"Publishing failed at {place}: {error.strerror or error}", hint=outcome
        )


def _make_younger(staged: Path, former: Path) -> None:
    # Web servers make a file's entity tag from its length and its time in whole seconds. Two
    # timestamps have one length, so two within one second would look like one to a device.
    try:
        least = int(former.stat().st_mtime) + 1
    except FileNotFoundError:
        return
    if staged.stat().st_mtime < least:
        os.utime(staged, (least, least))
