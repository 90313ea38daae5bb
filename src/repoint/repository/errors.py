"""Errors of a repository, its keys and its publications."""

from __future__ import annotations

from repoint.model.errors import RepointError


class RepositoryError(RepointError):
    """The base of all errors about a repository."""


class NotARepositoryError(RepositoryError):
    """The folder is not a repository."""


class RepositoryExistsError(RepositoryError):
    """The folder cannot become a repository because it is not empty."""


class RepositoryBusyError(RepositoryError):
    """Another publication is in progress."""


class DamagedRepositoryError(RepositoryError):
    """A file of the repository is missing, or differs from what was signed."""


class RepositoryWriteError(RepositoryError):
    """A file could not be written."""


class SettingsError(RepositoryError):
    """The repository's settings cannot be read."""


class UnknownProductError(RepositoryError):
    """The repository has no product of that name."""


class ProductExistsError(RepositoryError):
    """The repository already has a product of that name."""


class UnknownRoleError(RepositoryError):
    """The repository has no role of that name."""


class NoSuchTargetError(RepositoryError):
    """The published state has no target of that path."""


class TargetNotAllowedError(RepositoryError):
    """A role may not sign a target of that path."""


class TargetExistsError(RepositoryError):
    """An immutable target is already published with different content."""


class KeyProblemError(RepositoryError):
    """A key cannot be used."""


class WrongPassphraseError(KeyProblemError):
    """The passphrase does not decrypt the key file."""


class KeyUnavailableError(KeyProblemError):
    """A required private key is not available."""


class KeyFileExistsError(KeyProblemError):
    """A key file would be overwritten."""


class ThresholdError(KeyProblemError):
    """A role's threshold does not fit the number of its keys."""


class CannotServeError(RepositoryError):
    """The server cannot listen on the address."""
