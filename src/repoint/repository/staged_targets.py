"""The targets of a publication: staged files, and the metadata that lists them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from tuf.api.metadata import TargetFile

from repoint.repository.errors import TargetExistsError, TargetNotAllowedError
from repoint.repository.files import PUBLIC_MODE, make_public_folder, stage_bytes, stage_copy
from repoint.repository.metadata_transaction import MetadataTransaction
from repoint.repository.names import ROOT, SNAPSHOT, TIMESTAMP


class StagedTargets:
    """Targets that wait for the end of a publication.

    Args:
        staging: The folder of staged files, created when it is needed.
        public: The folder that is served.
        transaction: The changes of the metadata.
    """

    def __init__(self, staging: Path, public: Path, transaction: MetadataTransaction) -> None:
        self._staging = staging
        self._public = public
        self._transaction = transaction
        self._staged: dict[str, Path] = {}

    def add(
        self, role: str, files: Mapping[str, Path | bytes], *, replace: bool, published: int
    ) -> None:
        """Stage targets and list them in the metadata of a role.

        Args:
            role: The role that signs them.
            files: The target paths, each with its content or a file that holds it.
            replace: Whether they may replace published content.
            published: The time that the metadata gives as that of their publication, in seconds
                since 1970; 0 for none.

        Raises:
            TargetNotAllowedError: The role may not sign one of the paths.
            TargetExistsError: A path is already published with different content.
            KeyProblemError: A key that must sign is not available.
            OSError: A file cannot be read or written.
        """
        delegation = self._transaction.delegated_role(role)
        for path in files:
            if not delegation.is_delegated_path(path):
                raise TargetNotAllowedError(
                    f"The role {role!r} may not sign {path}",
                    hint=f"It may sign {', '.join(delegation.paths or [])}",
                )
        for path, content in files.items():
            self._add_one(role, path, content, replace=replace, published=published)

    def place(self) -> set[Path]:
        """Move the staged files to their public names, and return the folders to sync."""
        folders: set[Path] = set()
        for role in self._transaction.roles - {ROOT, SNAPSHOT, TIMESTAMP}:
            for path, target in self._transaction.targets(role).targets.items():
                if path in self._staged:
                    file = self._public / "targets" / target.get_prefixed_paths()[0]
                    folders |= make_public_folder(file.parent, self._public)
                    os.replace(self._staged[path], file)  # noqa: PTH105
        return folders

    def _add_one(
        self, role: str, path: str, content: Path | bytes, *, replace: bool, published: int
    ) -> None:
        staged, target = self._stage(path, content)
        targets = self._transaction.targets(role).targets
        known = targets.get(path)
        if known is not None and known.hashes == target.hashes:
            staged.unlink()
            return
        if known is not None and not replace:
            staged.unlink()
            raise TargetExistsError(
                f"{path} is already published with different content",
                hint="Published targets never change; publish the next letter or build",
            )
        self._transaction.change(role)
        if published:
            target.unrecognized_fields["custom"] = {"published": published}
        targets[path] = target
        self._staged[path] = staged

    def _stage(self, path: str, content: Path | bytes) -> tuple[Path, TargetFile]:
        self._staging.mkdir(mode=0o700, exist_ok=True)
        if isinstance(content, Path):
            staged, length, digest = stage_copy(self._staging, content, PUBLIC_MODE)
        else:
            staged = stage_bytes(self._staging, content, PUBLIC_MODE)
            length, digest = len(content), hashlib.sha256(content).hexdigest()
        return staged, TargetFile(length, {"sha256": digest}, path)
