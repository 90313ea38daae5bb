"""The committed state of a repository, as a device reads it.

``timestamp.json`` refers to the snapshot, and the snapshot to the rest. Files with higher version
numbers, which a killed publication may have left, are ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError as TufError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, T, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from repoint.repository.errors import DamagedRepositoryError
from repoint.repository.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, delegator_of

_VERSIONED = re.compile(r"([1-9][0-9]*)\.(.+)\.json")


@dataclass(frozen=True)
class State:
    """One consistent set of signed metadata. ``targets`` is by role, including the top level."""

    root: Metadata[Root]
    root_bytes: bytes
    timestamp: Metadata[Timestamp]
    timestamp_bytes: bytes
    snapshot: Metadata[Snapshot]
    targets: dict[str, Metadata[Targets]]

    def metadata(self, role: str) -> Metadata[Any] | None:
        """Return the metadata of a role, or None."""
        top_level: dict[str, Metadata[Any]] = {
            ROOT: self.root,
            SNAPSHOT: self.snapshot,
            TIMESTAMP: self.timestamp,
        }
        return top_level.get(role) or self.targets.get(role)

    @property
    def roles(self) -> list[str]:
        """All roles, the top level first."""
        products = sorted(set(self.targets) - {TARGETS})
        return [ROOT, TARGETS, SNAPSHOT, TIMESTAMP, *products]

    def delegator(self, role: str) -> Root | Targets:
        """Return the metadata that lists the keys of ``role``."""
        name = delegator_of(role)
        return self.root.signed if name == ROOT else self.targets[name].signed


def current_state(folder: Path, known: State | None) -> State:
    """Return the committed state; ``known`` if that is still it, without reading it again.

    Every publication ends with another timestamp or another root. The state that is returned must
    not be changed.

    Raises:
        DamagedRepositoryError: A file is missing or differs from what was signed.
    """
    if known is not None and _is_current(folder, known):
        return known
    return load_state(folder)


def _is_current(folder: Path, known: State) -> bool:
    try:
        same = (folder / "timestamp.json").read_bytes() == known.timestamp_bytes
    except OSError:
        return False
    return same and not (folder / f"{known.root.signed.version + 1}.root.json").exists()


def load_state(folder: Path) -> State:
    """Read and verify the committed state in a folder of metadata.

    Expired metadata is accepted, because it must be read to be renewed.

    Raises:
        DamagedRepositoryError: A file is missing or differs from what was signed.
    """
    try:
        root_bytes = (folder / f"{_newest_root(folder)}.root.json").read_bytes()
        root: Metadata[Root] = Metadata.from_bytes(root_bytes)
        _verify(root.signed, ROOT, root)
        timestamp_bytes = (folder / "timestamp.json").read_bytes()
        timestamp: Metadata[Timestamp] = Metadata.from_bytes(timestamp_bytes)
        _verify(root.signed, TIMESTAMP, timestamp)
        snapshot: Metadata[Snapshot] = _read(folder, SNAPSHOT, timestamp.signed.snapshot_meta)
        _verify(root.signed, SNAPSHOT, snapshot)
        targets: dict[str, Metadata[Targets]] = {
            role: _read(folder, role, meta)
            for name, meta in snapshot.signed.meta.items()
            if (role := name.removesuffix(".json"))
        }
        state = State(root, root_bytes, timestamp, timestamp_bytes, snapshot, targets)
        for role, metadata in targets.items():
            _verify(state.delegator(role), role, metadata)
    except OSError as error:
        raise _damaged(folder, f"{error.filename} cannot be read: {error.strerror}") from None
    except (TufError, DeserializationError, ValueError, KeyError) as error:
        raise _damaged(folder, str(error)) from error
    return state


def remove_uncommitted(folder: Path, state: State) -> None:
    """Remove metadata that a killed publication wrote but did not commit."""
    for path in folder.iterdir():
        match = _VERSIONED.fullmatch(path.name)
        # A root takes effect as soon as it has its name: devices follow the version numbers.
        if match is None or match[2] == ROOT:
            continue
        metadata = state.metadata(match[2])
        if metadata is None or int(match[1]) > metadata.signed.version:
            path.unlink()


def _newest_root(folder: Path) -> int:
    matches = (_VERSIONED.fullmatch(path.name) for path in folder.glob("*.root.json"))
    numbers = [int(match[1]) for match in matches if match and match[2] == ROOT]
    if not numbers:
        raise DamagedRepositoryError(f"{folder} has no root", hint="Restore it from a backup")
    return max(numbers)


def _read(folder: Path, role: str, meta: MetaFile) -> Metadata[T]:
    data = (folder / f"{meta.version}.{role}.json").read_bytes()
    meta.verify_length_and_hashes(data)
    return Metadata.from_bytes(data)


def _verify(delegator: Root | Targets, role: str, metadata: Metadata[T]) -> None:
    delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)


def _damaged(folder: Path, reason: str) -> DamagedRepositoryError:
    return DamagedRepositoryError(
        f"The repository's metadata in {folder} is damaged: {reason}",
        hint="Restore the folder from a backup",
    )
