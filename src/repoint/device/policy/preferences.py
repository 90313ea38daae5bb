"""Preferences: what a person sets, as far as the administrator's policy allows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec

from repoint.device.errors import PolicyForbidsError
from repoint.device.os_errors import explained
from repoint.device.policy.policy import Policy
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import UserSettings
from repoint.device.store.store import Store


class Preferences:
    """The person's settings and the administrator's policy: `Device.preferences`.

    Methods take the name of a product, or None for the only one.

    Args:
        store: The store.
        policy: Returns the policy that is in force.
        transaction: Begins a transaction on a product; takes the command, shown to others that wait
            for the lock, and the product.
    """

    def __init__(
        self,
        store: Store,
        policy: Callable[[], Policy],
        transaction: Callable[[str, str | None], AbstractContextManager[ProductState]],
    ) -> None:
        self._store = store
        self._policy = policy
        self._transaction = transaction

    def policy(self) -> Policy:
        """Return the administrator's policy."""
        return self._policy()

    def settings(self, product: str | None) -> UserSettings:
        """Return the person's settings."""
        return self._store.one(product).documents.settings()

    def effective_settings(self, product: str | None) -> EffectiveSettings:
        """Return the settings that result from the person's settings and the policy."""
        return effective_settings(self.settings(product), self.policy())

    def change_settings(self, product: str | None, settings: UserSettings) -> None:
        """Store the person's settings.

        Raises:
            PolicyForbidsError: The policy sets another value.
        """
        require_free_settings(settings, self.policy())
        with (
            self._transaction("repoint settings", product) as state,
            explained(f"store the settings of {state.name}"),
        ):
            state.documents.set_settings(settings)


class EffectiveSettings(msgspec.Struct, frozen=True):
    """The settings that are in effect for a product.

    Attributes:
        automatic: Whether "Automatically Install" is on.
        automatic_locked_by: The policy file that sets it, or "" if the person does.
        removal: Whether people may remove an improvement.
        removal_locked_by: The policy file that sets it, or "".
        reports: The address that reports are sent to; "" if none are sent.
        reports_locked_by: The policy file that sets it, or "" if the person does.
        policy_problem: Why the current policy files are not in force, or "".
    """

    automatic: bool
    automatic_locked_by: str
    removal: bool
    removal_locked_by: str
    policy_problem: str
    reports: str = ""
    reports_locked_by: str = ""


def effective_settings(settings: UserSettings, policy: Policy) -> EffectiveSettings:
    """Return the person's settings with the policy applied."""
    rules = policy.rules
    return EffectiveSettings(
        automatic=settings.automatic if rules.automatic is None else rules.automatic,
        automatic_locked_by=policy.locked_by("automatic"),
        removal=rules.removal is not False,
        removal_locked_by=policy.locked_by("removal"),
        policy_problem=policy.problem,
        reports=_reports(settings, policy),
        reports_locked_by=policy.locked_by("reports"),
    )


def reports_wanted(state: ProductState, policy: Policy) -> bool:
    """Return whether there is anything to report about a product, or to delete. Loads nothing."""
    return has_reports(state) or bool(_reports(state.documents.settings(), policy))


def has_reports(state: ProductState) -> bool:
    """Return whether there is a spool: of what waits, or of what is to be deleted."""
    return (state.path / "reports/spool.json").exists()


def _reports(settings: UserSettings, policy: Policy) -> str:
    rule = policy.rules.reports
    if rule is None:
        is_on = settings.reports and settings.reports_to and policy.allows(settings.reports_to)
        return settings.reports_to if is_on else ""
    return rule if isinstance(rule, str) else ""


def require_free_settings(new: UserSettings, policy: Policy) -> None:
    """Refuse settings that contradict the policy.

    Raises:
        PolicyForbidsError: The policy sets another value.
    """
    rules = policy.rules
    if rules.automatic is not None and new.automatic != rules.automatic:
        raise PolicyForbidsError(
            f"Automatically Install is locked {'on' if rules.automatic else 'off'} by "
            f"{policy.locked_by('automatic')}",
            hint="Ask your administrator",
        )


def require_removal(policy: Policy) -> None:
    """Refuse to remove an improvement if the policy forbids it.

    Raises:
        PolicyForbidsError: The policy forbids removal.
    """
    if policy.rules.removal is False:
        raise PolicyForbidsError(
            f"Removal is locked by {policy.locked_by('removal')}", hint="Ask your administrator"
        )


def require_free_reports(policy: Policy) -> None:
    """Refuse to turn reports on or off if the policy decides it.

    Raises:
        PolicyForbidsError: The policy decides it.
    """
    file = policy.locked_by("reports")
    if file:
        raise PolicyForbidsError(
            f"Share Reports is locked by {file}", hint="Ask your administrator"
        )


def require_reports_address(address: str, policy: Policy) -> None:
    """Refuse to send reports to an address that the policy does not allow.

    Raises:
        PolicyForbidsError: The policy does not allow it.
    """
    _require_allowed("Reports to", address, policy)


def require_repository(repository: str, policy: Policy) -> None:
    """Refuse a repository that the policy does not allow.

    Raises:
        PolicyForbidsError: The policy does not allow it.
    """
    _require_allowed("Improvements from", repository, policy)


def _require_allowed(what: str, address: str, policy: Policy) -> None:
    if not policy.allows(address):
        raise PolicyForbidsError(
            f"{what} {address} are not allowed by {policy.locked_by('repositories')}",
            hint="Ask your administrator",
        )
