"""A transaction on the metadata: changed in memory, signed at the end.

The rules of versions, snapshot and timestamp are python-tuf's (``tuf.repository``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from securesystemslib.signer import Key, Signature, Signer
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)
from tuf.repository import Repository as TufRepository

from repoint.repository.errors import KeyUnavailableError, ThresholdError
from repoint.repository.keys import Keyring
from repoint.repository.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, delegator_of
from repoint.repository.state import State


@dataclass(frozen=True)
class Changeset:
    """The files that a publication writes.

    Attributes:
        unreferenced: File name to content of metadata that nothing refers to until the timestamp
            does.
        steps: File names and contents that take effect one by one, in this order. Before the first
            and after each of them, the served state is complete and valid.
    """

    unreferenced: dict[str, bytes]
    steps: list[tuple[str, bytes]]


class MetadataTransaction(TufRepository):
    """The committed metadata and the changes to it."""

    def __init__(
        self,
        committed: State | None,
        keyring: Keyring,
        lifetime: Callable[[str], timedelta],
        now: datetime,
    ) -> None:
        self._committed = committed
        self._keyring = keyring
        self._lifetime = lifetime
        self._now = now
        self._metadata: dict[str, Metadata[Any]] = {}
        self._changed: set[str] = set()
        self._signed: dict[str, bytes] = {}
        self._force_timestamp = False
        self._force_snapshot = False
        if committed is not None:
            self._metadata = {
                role: deepcopy(metadata)
                for role in committed.roles
                if (metadata := committed.metadata(role))
            }

    @property
    def roles(self) -> set[str]:
        """All roles after the transaction."""
        return set(self._metadata)

    @property
    def is_changed(self) -> bool:
        """Whether there are changes to publish."""
        return bool(self._changed) or self._force_timestamp or self._force_snapshot

    def key_ids(self, role: str) -> list[str]:
        """Return the ids of the role's keys after the transaction."""
        return list(self._delegation(role)[0].keyids)

    def expires(self, role: str) -> datetime:
        """Return when the role's current metadata expires."""
        return cast(datetime, self._metadata[role].signed.expires)

    def change(self, role: str) -> None:
        """Schedule a new version of the role, and load its keys now.

        Raises:
            KeyProblemError: A key that must sign is not available.
        """
        self.require_keys(role)
        if role == SNAPSHOT:
            self._force_snapshot = True
        elif role == TIMESTAMP:
            self._force_timestamp = True
        else:
            self._changed.add(role)

    def require_keys(self, role: str) -> None:
        """Load the keys that a new version of a role needs.

        Raises:
            KeyProblemError: A key that must sign is not available.
        """
        for name in (role, SNAPSHOT, TIMESTAMP):
            if name in self._metadata:
                self._signers(name)

    def signatures(self, role: str, data: bytes) -> list[Signature]:
        """Sign other data with the keys of a role.

        Raises:
            KeyProblemError: A key that must sign is not available.
        """
        return [_signature(role, signer, data) for signer in self._signers(role)]

    def start(self, keys: dict[str, Key]) -> None:
        """Create the first metadata, with one key for each top-level role."""
        root = Root(consistent_snapshot=True)
        for role, key in keys.items():
            root.add_key(key, role)
        self._metadata[ROOT] = Metadata(root)
        self._metadata[TARGETS] = Metadata(Targets(delegations=Delegations({}, {})))
        self._changed |= {ROOT, TARGETS}

    def delegate(self, role: str, key: Key, patterns: Sequence[str]) -> None:
        """Add a terminating delegation with one key to the role's delegator."""
        delegator = self.targets(delegator_of(role))
        if delegator.delegations is None:
            delegator.delegations = Delegations({}, {})
        assert delegator.delegations.roles is not None  # noqa: S101 (hash bins are not used)
        delegator.delegations.roles[role] = DelegatedRole(role, [], 1, True, list(patterns))
        delegator.add_key(key, role)
        self._metadata[role] = Metadata(Targets())
        self.change(delegator_of(role))
        self.change(role)

    def delegated_role(self, role: str) -> DelegatedRole:
        """Return the delegation of a product's role or of its catalog's role."""
        return cast(DelegatedRole, self._delegation(role)[0])

    def replace_keys(self, role: str, keys: Sequence[Key], threshold: int) -> None:
        """Replace the keys of a role, and schedule new versions of it and its delegator.

        Raises:
            ThresholdError: The threshold is below one or above the number of keys.
        """
        if not 1 <= threshold <= len({key.keyid for key in keys}):
            raise ThresholdError(
                f"{threshold} of {len(keys)} keys cannot be required to sign for role {role!r}",
                hint="Choose a threshold between 1 and the number of keys",
            )
        delegator = self._delegator(role)
        delegation = delegator.get_delegated_role(role)
        for keyid in list(delegation.keyids):
            delegator.revoke_key(keyid, role)
        for key in keys:
            delegator.add_key(key, role)
        delegation.threshold = threshold
        self.change(delegator_of(role))
        self.change(role)
        # Devices download a new root only after a new timestamp.
        self._force_timestamp = True

    def finish(self) -> Changeset:
        """Sign everything that changed.

        A new key for timestamp, snapshot or targets requires a new root and new metadata, which
        cannot be renamed in one step. Therefore a root that accepts both old and new keys precedes
        the metadata, and the root that accepts only the new keys follows it, with one more
        timestamp for devices that checked in between.

        Raises:
            KeyProblemError: A key that must sign is not available.
        """
        roots = self._sign_roots() if ROOT in self._changed else []
        for role in sorted(self._changed - {ROOT}):
            self.close(role, self.open(role))
        self.do_snapshot(force=self._force_snapshot)
        self.do_timestamp(force=self._force_timestamp)
        steps = [*roots[:1], ("timestamp.json", self._signed[TIMESTAMP]), *roots[1:]]
        if len(roots) > 1:
            self.close(TIMESTAMP, self.open(TIMESTAMP))
            steps.append(("timestamp.json", self._signed[TIMESTAMP]))
        unreferenced = {
            self._file_name(role): data
            for role, data in self._signed.items()
            if role not in (ROOT, TIMESTAMP)
        }
        return Changeset(unreferenced, steps)

    def open(self, role: str) -> Metadata[Any]:
        """Return the metadata of a role, to be changed in place."""
        if role not in self._metadata:
            if role == SNAPSHOT:
                self._metadata[role] = Metadata(Snapshot(meta={}))
            elif role == TIMESTAMP:
                self._metadata[role] = Metadata(Timestamp(snapshot_meta=self.snapshot_info))
        return self._metadata[role]

    def close(self, role: str, md: Metadata[Any]) -> None:
        """Sign the next version of a role."""
        if role in self._signed or self._is_committed(role):
            md.signed.version += 1
        md.signed.expires = self._now + self._lifetime(role)
        self._sign(role, md, self._signers(role))
        self._signed[role] = md.to_bytes()

    @property
    def targets_infos(self) -> dict[str, MetaFile]:
        """Version, length and digest of all new targets metadata."""
        return {
            f"{role}.json": self._meta_file(role)
            for role in self._signed
            if role not in (ROOT, SNAPSHOT, TIMESTAMP)
        }

    @property
    def snapshot_info(self) -> MetaFile:
        """Version, length and digest of the snapshot."""
        if SNAPSHOT in self._signed:
            return self._meta_file(SNAPSHOT)
        return cast(Timestamp, self._metadata[TIMESTAMP].signed).snapshot_meta

    def _meta_file(self, role: str) -> MetaFile:
        version = self._metadata[role].signed.version
        return MetaFile.from_data(version, self._signed[role], ["sha256"])

    def _file_name(self, role: str) -> str:
        return f"{self._metadata[role].signed.version}.{role}.json"

    def _is_committed(self, role: str) -> bool:
        return self._committed is not None and self._committed.metadata(role) is not None

    def _sign_roots(self) -> list[tuple[str, bytes]]:
        final = self._metadata[ROOT]
        roots = [final]
        signers = self._signers(ROOT)
        if self._committed is not None:
            old = self._committed.root.signed
            signers = _without_duplicates(
                [*self._role_signers(ROOT, old.roles[ROOT], old.keys), *signers]
            )
            bridge = _bridge(old, final.signed)
            roots = [final] if bridge is None else [Metadata(bridge), final]
            for number, metadata in enumerate(roots, start=1):
                metadata.signed.version = old.version + number
        for metadata in roots:
            metadata.signed.expires = self._now + self._lifetime(ROOT)
            self._sign(ROOT, metadata, signers)
        return [(f"{root.signed.version}.root.json", root.to_bytes()) for root in roots]

    def _delegator(self, role: str) -> Root | Targets:
        return cast("Root | Targets", self._metadata[delegator_of(role)].signed)

    def _delegation(self, role: str) -> tuple[Role, dict[str, Key]]:
        delegator = self._delegator(role)
        delegation = delegator.get_delegated_role(role)
        return delegation, {keyid: delegator.get_key(keyid) for keyid in delegation.keyids}

    def _signers(self, role: str) -> list[Signer]:
        return self._role_signers(role, *self._delegation(role))

    def _role_signers(self, name: str, role: Role, keys: dict[str, Key]) -> list[Signer]:
        return self._keyring.signers(name, [keys[i] for i in role.keyids], role.threshold)

    def _sign(self, role: str, metadata: Metadata[Any], signers: Sequence[Signer]) -> None:
        metadata.signatures.clear()
        for signer in signers:
            try:
                metadata.sign(signer, append=True)
            except UnsignedMetadataError as error:
                raise _did_not_sign(role, error) from error


def _signature(role: str, signer: Signer, data: bytes) -> Signature:
    try:
        return signer.sign(data)
    except Exception as error:  # each service has its own errors
        raise _did_not_sign(role, error) from error


def _did_not_sign(role: str, error: Exception) -> KeyUnavailableError:
    return KeyUnavailableError(
        f"The key of role {role!r} did not sign: {error}",
        hint="Check that this machine has access to the key, then try again",
    )


def _without_duplicates(signers: Sequence[Signer]) -> list[Signer]:
    return list({signer.public_key.keyid: signer for signer in signers}.values())


def _bridge(old: Root, new: Root) -> Root | None:
    """Return a root that accepts the metadata of both roots, or None if ``new`` already does."""
    bridge = deepcopy(new)
    needed = False
    for role in (TARGETS, SNAPSHOT, TIMESTAMP):
        before, after = old.roles[role], new.roles[role]
        if set(before.keyids) <= set(after.keyids) and after.threshold <= before.threshold:
            continue
        needed = True
        for keyid in before.keyids:
            bridge.add_key(old.keys[keyid], role)
        bridge.roles[role].threshold = min(before.threshold, after.threshold)
    return bridge if needed else None
