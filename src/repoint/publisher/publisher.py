"""The public interface for a vendor: baselines, improvements, publication and withdrawal."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from repoint.model.baseline import Baseline, BaselineName
from repoint.model.catalog import Offer, Retirement, Urgency
from repoint.model.extras import require_vendor
from repoint.model.improvement import Improvement
from repoint.model.rollout import Step
from repoint.model.texts import check_reason
from repoint.publisher.baselines import Release, add_baseline, find_baseline
from repoint.publisher.catalog.catalogs import (
    Selection,
    containing,
    read_baseline,
    read_catalog,
    withdraw,
)
from repoint.publisher.catalog.publish import publish, select_drafts
from repoint.publisher.catalog.retirement import set_retirement
from repoint.publisher.catalog.withdrawn import withdrawn_like, withdrawn_within
from repoint.publisher.improve.drafts import Draft, read_drafts
from repoint.publisher.improve.improve import (
    BuiltImprovement,
    ImprovementRequest,
    Progress,
    improve,
)
from repoint.publisher.improve.placement import discard_draft
from repoint.publisher.rollout.changes import new_rollout
from repoint.publisher.rollout.control import Rollouts
from repoint.publisher.view import RepositoryView, read_view
from repoint.repository.errors import WrongPassphraseError
from repoint.repository.keys import Passphrases
from repoint.repository.repository import Repository


def _no_passphrase(role: str) -> bytes:
    raise WrongPassphraseError(
        f"The key of {role} is encrypted, and the publisher has no passphrases",
        hint="Create the publisher with `passphrases`",
    )


def _unencrypted() -> None:
    return None


class Publisher:
    """A vendor's interface to a repository.

    Every method reads the published state anew, and every change is published whole or not at all.
    Methods raise subclasses of `RepointError`.

    Args:
        repository: The repository, from `Repository.open` or `Repository.create`.
        passphrases: Returns the passphrase of a role's key file. Called with the name of the role,
            only if a change needs the key and the file is encrypted.
        clock: Returns seconds since 1970.

    Raises:
        MissingExtraError: The extra ``vendor`` is not installed.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        passphrases: Passphrases = _no_passphrase,
        clock: Callable[[], float] = time.time,
    ) -> None:
        require_vendor("repoint.Publisher")
        self.repository = repository
        self._passphrases = passphrases
        self._clock = clock

    @property
    def rollouts(self) -> Rollouts:
        """The rollouts of published improvements."""
        return Rollouts(self.repository, self._passphrases, self._now)

    def add_baseline(
        self, release: Release, *, new_passphrase: Callable[[], bytes | None] = _unencrypted
    ) -> Baseline:
        """Seal every component of a release, publish the baseline, and return it.

        The first baseline of a product creates the product, its roles and their keys.

        Args:
            release: The release.
            new_passphrase: Returns the passphrase for the keys of a new product, or None to leave
                them unencrypted.

        Raises:
            BaselineExistsError: The baseline is already registered.
            UnfitForSystemError: A system extension cannot hold improvements of a component.
            RepointError: A source is unfit, or the repository cannot be signed.
        """
        return add_baseline(
            self.repository,
            release,
            passphrases=self._passphrases,
            new_passphrase=new_passphrase,
            created=self._now(),
        )

    def baseline(
        self, product: str, version: str, *, build: str | None = None, platform: str | None = None
    ) -> Baseline:
        """Return the one baseline of a version; build and platform distinguish several.

        Raises:
            UnknownProductError: The repository has no such product.
            UnknownBaselineError: No baseline matches, or several do.
        """
        catalog = read_catalog(self.repository, product)
        name = find_baseline(catalog, version, build, platform)
        return read_baseline(self.repository, product, name)

    def retire(self, product: str, baseline: BaselineName, *, reason: str = "") -> None:
        """Retire a baseline: no further improvements are made for it, and its devices are told.

        Its improvements stay on offer. `reinstate` takes it back.

        Args:
            product: The product.
            baseline: The baseline.
            reason: The reason, which people at devices read.

        Raises:
            InvalidRecordError: The reason is too long, or contains a control character.
            RetiredBaselineError: It is already retired.
            UnknownBaselineError: There is no such baseline.
        """
        retirement = Retirement(self._now(), check_reason(reason, required=False))
        set_retirement(self.repository, product, baseline, retirement, self._passphrases)

    def reinstate(self, product: str, baseline: BaselineName) -> None:
        """Take the retirement of a baseline back.

        Raises:
            RetiredBaselineError: It is not retired.
            UnknownBaselineError: There is no such baseline.
        """
        set_retirement(self.repository, product, baseline, None, self._passphrases)

    def improve(
        self, request: ImprovementRequest, *, progress: Progress | None = None
    ) -> BuiltImprovement:
        """Build the next improvement of a baseline, as a draft that `publish` publishes.

        Args:
            request: What to build.
            progress: Called while the patch of a component is made.

        Raises:
            RepointError: A source is unfit, nothing changed, the letter is already used, or a
                component is not part of the baseline.
        """
        return improve(self.repository, request, created=self._now(), progress=progress)

    def drafts(
        self, product: str, labels: Collection[str] = (), *, platform: str | None = None
    ) -> list[Draft]:
        """Return the drafts that `publish` would publish.

        Args:
            product: The product.
            labels: Only the drafts with these labels, such as ``26.3.1 (a)``; empty for all.
            platform: Only those for this platform; None for all platforms.

        Raises:
            UnknownProductError: The repository has no such product.
            UnknownImprovementError: There is no draft with a label.
        """
        read_catalog(self.repository, product)  # raises if there is no such product
        drafts = read_drafts(self.repository, product)
        if platform is not None:
            drafts = [each for each in drafts if each.improvement.baseline.platform == platform]
        return select_drafts(drafts, product, labels)

    def discard(self, draft: Draft) -> None:
        """Remove a draft that is not published. Its letter is free again.

        Raises:
            LetterTakenError: It was published meanwhile.
            UnknownImprovementError: It was removed meanwhile.
        """
        discard_draft(self.repository, draft)

    def publish(
        self,
        product: str,
        *,
        urgency: Urgency = "routine",
        labels: Collection[str] = (),
        steps: tuple[Step, ...] = (),
        manual: bool = False,
    ) -> list[Improvement]:
        """Publish drafts of a product, offer them to devices, and return them in order.

        Args:
            product: The product.
            urgency: ``exploited`` if attacks on what they fix were seen.
            labels: Only the drafts with these labels, such as ``26.3.1 (a)``; empty for all.
            steps: The schedule of their rollout; empty if all devices get them at once.
            manual: Whether each step of it waits for `Rollouts.promote`.

        Raises:
            UnknownImprovementError: There is no draft, or none with a label.
            LetterTakenError: Another improvement with a draft's letter is already published.
        """
        now = self._now()
        return publish(
            self.repository,
            product,
            passphrases=self._passphrases,
            now=now,
            urgency=urgency,
            labels=labels,
            rollout=new_rollout(steps, now, manual=manual) if steps else None,
        )

    def withdraw(
        self, product: str, label: str, *, reason: str, platform: str | None = None
    ) -> list[Offer]:
        """Withdraw an improvement, and return the changed offers.

        Devices no longer install it. Its letter is never used again.

        Args:
            product: The product.
            label: The improvement, such as ``26.3.1 (a)``.
            reason: The reason, which people at devices read.
            platform: Only for this platform; None for all platforms.

        Raises:
            UnknownImprovementError: It was never published.
            AlreadyWithdrawnError: It is withdrawn already.
            InvalidRecordError: The reason is empty, too long, or contains a control character.
        """
        selection = Selection(product, label, platform)
        return withdraw(self.repository, selection, reason, self._passphrases, self._now())

    def containing(self, product: str, offer: Offer) -> list[Improvement]:
        """Return the offered improvements that contain an earlier one, such as a withdrawn one."""
        return containing(self.repository, product, offer.baseline, offer.letter)

    def withdrawn_within(self, improvement: Improvement) -> list[str]:
        """Return the withdrawn letters that an improvement contains, each with the reason."""
        return withdrawn_within(self.repository, improvement)

    def withdrawn_like(self, improvement: Improvement) -> list[str]:
        """Return the withdrawn letters with an improvement's content, each with the reason."""
        return withdrawn_like(self.repository, improvement)

    def show(self, product: str | None = None) -> RepositoryView:
        """Return the roles, baselines, improvements and drafts of one product or of all.

        Raises:
            UnknownProductError: The repository has no such product.
        """
        return read_view(self.repository, product)

    def _now(self) -> int:
        return int(self._clock())
