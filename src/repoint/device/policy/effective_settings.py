"""Effective settings: the person's settings as far as the administrator's policy allows them."""

from __future__ import annotations

import msgspec

from repoint.device.errors import PolicyForbidsError
from repoint.device.policy.policy import Policy
from repoint.device.store.records import UserSettings


class EffectiveSettings(msgspec.Struct, frozen=True):
    """The settings that are in effect for a product.

    Attributes:
        automatic: Whether "Automatically Install" is on.
        automatic_locked_by: The policy file that sets it, or "" if the person does.
        removal: Whether people may remove an improvement.
        removal_locked_by: The policy file that sets it, or "".
        policy_problem: Why the current policy files are not in force, or "".
    """

    automatic: bool
    automatic_locked_by: str
    removal: bool
    removal_locked_by: str
    policy_problem: str


def effective_settings(settings: UserSettings, policy: Policy) -> EffectiveSettings:
    """Return the person's settings with the policy applied."""
    rules = policy.rules
    return EffectiveSettings(
        automatic=settings.automatic if rules.automatic is None else rules.automatic,
        automatic_locked_by=policy.locked_by("automatic"),
        removal=rules.removal is not False,
        removal_locked_by=policy.locked_by("removal"),
        policy_problem=policy.problem,
    )


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


def require_repository(repository: str, policy: Policy) -> None:
    """Refuse a repository that the policy does not allow.

    Raises:
        PolicyForbidsError: The policy does not allow it.
    """
    if not policy.allows(repository):
        raise PolicyForbidsError(
            f"Improvements from {repository} are not allowed by {policy.locked_by('repositories')}",
            hint="Ask your administrator",
        )
