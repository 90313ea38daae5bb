"""Errors of accounts and of signing in."""

from __future__ import annotations

from repoint.model.errors import RepointError


class AccountError(RepointError):
    """An account cannot be added, found or changed."""


class ProviderError(RepointError):
    """The OpenID provider cannot be reached, or answers what it must not."""


class NoRoleError(ProviderError):
    """The provider knows the person, and nothing gives the person a role."""


class InsecureAddressError(RepointError):
    """Passwords would be sent over a network without encryption."""
