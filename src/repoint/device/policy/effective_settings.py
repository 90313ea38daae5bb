"""What counts of what was decided: a person's settings, under the administrator's policy."""

from __future__ import annotations

import msgspec

from repoint.device.errors import PolicyForbidsError
from repoint.device.policy.policy import Policy
from repoint.device.store.records import UserSettings


class EffectiveSettings(msgspec.Struct, frozen=True):
    """What counts for a product.

    Attributes:
        automatic: "Automatically Install".
        automatic_locked_by: The policy file that decides it; empty where the person does.
        removal: Whether people may remove an improvement.
        removal_locked_by: The policy file that decides it; empty where none does.
        policy_problem: Why the policy files as they are now are not in force; empty where they
            are.
    """

    automatic: bool
    automatic_locked_by: str
    removal: bool
    removal_locked_by: str
    policy_problem: str


def effective_settings(settings: UserSettings, policy: Policy) -> EffectiveSettings:
    """Put the person's settings under the policy."""
    rules = policy.rules
    return EffectiveSettings(
        automatic=settings.automatic if rules.automatic is None else rules.automatic,
        automatic_locked_by=policy.locked_by("automatic"),
        removal=rules.removal is not False,
        removal_locked_by=policy.locked_by("removal"),
        policy_problem=policy.problem,
    )


def require_free_settings(new: UserSettings, policy: Policy) -> None:
    """Let a person change only what the policy leaves to them.

    Raises:
        PolicyForbidsError: The policy decides it, and otherwise.
    """
    rules = policy.rules
    if rules.automatic is not None and new.automatic != rules.automatic:
        raise PolicyForbidsError(
            f"Automatically Install is locked {'on' if rules.automatic else 'off'} by "
            f"{policy.locked_by('automatic')}",
            hint="Ask your administrator",
        )


def require_removal(policy: Policy) -> None:
    """Let improvements be removed only where the policy does.

    Raises:
        PolicyForbidsError: It does not.
    """
    if policy.rules.removal is False:
        raise PolicyForbidsError(
            f"Removal is locked by {policy.locked_by('removal')}", hint="Ask your administrator"
        )


def require_repository(repository: str, policy: Policy) -> None:
    """Talk only to the repositories that the policy allows.

    Raises:
        PolicyForbidsError: It does not allow this one.
    """
    if not policy.allows(repository):
        raise PolicyForbidsError(
            f"Improvements from {repository} are not allowed by {policy.locked_by('repositories')}",
            hint="Ask your administrator",
        )
