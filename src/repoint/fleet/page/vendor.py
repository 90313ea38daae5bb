"""The vendor's repository, as the page shows and changes it."""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from repoint.fleet.advisories.exposure import BaselineKey, Fixes
from repoint.fleet.page.audit import Action
from repoint.model.baseline import BaselineName
from repoint.model.errors import RepointError
from repoint.model.halt import HaltedLetter
from repoint.model.version import Letter
from repoint.publisher.catalog.catalogs import Selection, read_catalog, read_improvement
from repoint.publisher.rollout.control import Rollouts, ShownRollout
from repoint.repository.errors import DamagedRepositoryError
from repoint.repository.keys import Passphrases
from repoint.repository.names import SNAPSHOT, TIMESTAMP, catalog_role, halt_role
from repoint.repository.repository import Repository, RoleSummary

Seen = str
"""A digest of the state of a rollout that a person has seen."""


class ChangedMeanwhileError(RepointError):
    """The rollout is no longer in the state that the person has seen."""


@dataclass(frozen=True)
class Rollout:
    """An improvement for one platform, with the offers that a change concerns.

    Attributes:
        product: The product.
        label: Its label, such as ``26.3.1 (a)``.
        platform: The platform.
        shown: The offers, one for each build, with their halts.
        title: The title of its advisory.
    """

    product: str
    label: str
    platform: str
    shown: tuple[ShownRollout, ...]
    title: str

    @property
    def seen(self) -> Seen:
        """A digest of its state."""
        return _digest(list(self.shown))

    @property
    def selection(self) -> Selection:
        """What the publisher calls it."""
        return Selection(self.product, self.label, self.platform)


@dataclass(frozen=True)
class Published:
    """What is published for a product.

    Attributes:
        rollouts: The improvements, the latest first.
        fixes: What each letter fixes.
        newest: For each baseline, its latest letter that is not withdrawn.
        halts: The last halt of each letter, also of those that were resumed since.
    """

    rollouts: tuple[Rollout, ...]
    fixes: Fixes
    newest: dict[BaselineName, str]
    halts: tuple[HaltedLetter, ...] = ()

    def is_superseded(self, rollout: Rollout) -> bool:
        """Return whether a later letter, not withdrawn, has taken the place of an improvement."""
        return all(
            Letter(self.newest.get(each.offer.baseline, each.offer.letter))
            > Letter(each.offer.letter)
            for each in rollout.shown
        )


@dataclass
class _Known:
    """What was read from one published state of the repository."""

    products: list[str] | None = None
    roles: dict[str, RoleSummary] | None = None
    published: dict[str, Published] = field(default_factory=dict)


class VendorSide:
    """A repository folder, with the keys that this machine has.

    Args:
        repository: The repository.
        passphrases: Returns the passphrase of a role's key file, or raises an error.
        clock: Returns seconds since 1970.
    """

    def __init__(
        self, repository: Repository, passphrases: Passphrases, clock: Callable[[], float]
    ) -> None:
        self._repository = repository
        self._passphrases = passphrases
        self._clock = clock
        self._lock = threading.Lock()
        self._version: tuple[int, ...] = ()
        self._known = _Known()

    @property
    def path(self) -> Path:
        """The folder."""
        return self._repository.path

    def products(self) -> list[str]:
        """Return the products of the repository."""
        known = self._current()
        if known.products is None:
            known.products = self._repository.products()
        return known.products

    def published(self, product: str) -> Published:
        """Return what is published for a product, which may be nothing.

        Verifying the repository takes longer than a page should, so it is read again only after a
        publication.

        Raises:
            RepositoryError: The repository cannot be read.
        """
        known = self._current()
        if product not in known.published:
            known.published[product] = self._read_published(product)
        return known.published[product]

    def find(self, product: str, label: str, platform: str) -> Rollout | None:
        """Return a rollout; None if nothing is published under that name."""
        return next(
            (
                rollout
                for rollout in self.published(product).rollouts
                if (rollout.label, rollout.platform) == (label, platform)
            ),
            None,
        )

    def hindrance(self, product: str, action: Action) -> RepointError | None:
        """Return why an action cannot work here; None if nothing is known that prevents it.

        Keys in files are looked at; a key in a service is tried when it is needed.
        """
        role = halt_role(product) if action == "halt" else catalog_role(product)
        if not os.access(self._repository.path, os.W_OK):
            return RepointError(
                f"This page may not write to the repository at {self._repository.path}",
                hint="Run `repoint fleet open` as its owner",
            )
        try:
            known = self._current()
            if known.roles is None:
                known.roles = {each.role: each for each in self._repository.roles()}
            for name in (role, SNAPSHOT, TIMESTAMP):
                summary = known.roles.get(name)
                if summary is not None:
                    self._require_keys(name, list(summary.keys.values()), summary.threshold)
        except RepointError as error:
            return error
        return None

    def change(self, action: Action, rollout: Rollout, seen: Seen, reason: str) -> None:
        """Change a rollout that is still in the state that a person has seen.

        Raises:
            ChangedMeanwhileError: It is not.
            RepointError: It cannot be changed.
        """

        def require_seen(now: list[ShownRollout]) -> None:
            if _digest(now) != seen:
                raise ChangedMeanwhileError(
                    f"The rollout of {rollout.label} was changed since you saw it",
                    hint="Look at its state now, and decide again",
                )

        rollouts = Rollouts(
            self._repository, self._passphrases, lambda: int(self._clock()), require_seen
        )
        match action:
            case "pause":
                rollouts.pause(rollout.selection, reason=reason)
            case "resume":
                rollouts.resume(rollout.selection)
            case "promote":
                rollouts.promote(rollout.selection)
            case "halt":
                rollouts.halt(rollout.selection, reason=reason)

    def _require_keys(self, role: str, uris: list[str], threshold: int) -> None:
        problems: list[RepointError] = []
        for uri in uris:
            scheme, _, path = uri.partition(":")
            if scheme != "file":
                continue
            file = self._repository.path / path
            try:
                encrypted = b"ENCRYPTED" in file.read_bytes()
            except OSError as error:
                problems.append(
                    RepointError(
                        f"The key of the role {role} cannot be read ({path}: {error.strerror})",
                        hint="Use the machine that has it.",
                    )
                )
                continue
            if encrypted:
                try:
                    self._passphrases(role)
                except RepointError as error:
                    problems.append(error)
        if len(uris) - len(problems) < threshold:
            raise problems[0]

    def _read_published(self, product: str) -> Published:
        if product not in self.products():
            return Published((), {}, {})
        catalog = read_catalog(self._repository, product)
        rollouts = Rollouts(self._repository, self._passphrases, lambda: int(self._clock()))
        shown, halts = rollouts.show(product), rollouts.halts(product).letters
        titles: dict[tuple[str, str], str] = {}
        fixes: dict[BaselineKey, dict[str, frozenset[str]]] = {}
        newest: dict[BaselineName, str] = {}
        for listed in catalog.baselines:
            offers = [o for o in catalog.offers if o.baseline == listed.name]
            for offer in sorted(offers, key=lambda each: Letter(each.letter)):
                improvement = read_improvement(self._repository, product, listed.name, offer.letter)
                titles[offer.label, listed.name.platform] = improvement.title
                key = BaselineKey.of(product, listed.name)
                fixes.setdefault(key, {})[offer.letter] = frozenset(improvement.cves())
                if offer.state != "withdrawn":
                    newest[listed.name] = offer.letter
        return Published(_grouped(product, shown, titles), fixes, newest, halts)

    def _current(self) -> _Known:
        """Return what is known of the published state, which is nothing after a publication."""
        path = self._repository.public / "metadata/timestamp.json"
        try:
            status = path.stat()
        except OSError as error:
            raise DamagedRepositoryError(
                f"{path} cannot be read: {error.strerror}",
                hint="Mount it again, or restore it from a backup",
            ) from None
        version = (status.st_ino, status.st_mtime_ns, status.st_size)
        with self._lock:
            if version != self._version:
                self._version, self._known = version, _Known()
            return self._known


def _grouped(
    product: str, shown: list[ShownRollout], titles: dict[tuple[str, str], str]
) -> tuple[Rollout, ...]:
    def key(each: ShownRollout) -> tuple[str, str]:
        return each.offer.label, each.offer.baseline.platform

    grouped = [
        Rollout(product, label, platform, tuple(each), titles.get((label, platform), ""))
        for (label, platform), each in itertools.groupby(sorted(shown, key=key), key)
    ]
    return tuple(sorted(grouped, key=_latest_first, reverse=True))


def _latest_first(rollout: Rollout) -> tuple[int, Letter, str]:
    offer = rollout.shown[0].offer
    began = offer.rollout.beginning if offer.rollout is not None else offer.since
    return began, Letter(offer.letter), rollout.platform


def _digest(shown: list[ShownRollout]) -> Seen:
    return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()[:32]
