"""What can go wrong with a repository, its keys and its publications."""

from __future__ import annotations

from repoint.model.errors import RepointError


class RepositoryError(RepointError):
    """Something about a repository is not as it must be."""


class NotARepositoryError(RepositoryError):
    """The folder holds no repository."""


class RepositoryExistsError(RepositoryError):
    """The folder cannot become a repository because something is there."""


class RepositoryBusyError(RepositoryError):
    """Another publication is at work on the repository."""


class DamagedRepositoryError(RepositoryError):
    """A file of the repository is missing, or is not what was signed."""


class RepositoryWriteError(RepositoryError):
    """A file could not be written."""


class SettingsError(RepositoryError):
    """The repository's settings cannot be read."""


class UnknownProductError(RepositoryError):
    """The repository has no product of that name."""


class ProductExistsError(RepositoryError):
    """The repository has a product of that name already."""


class UnknownRoleError(RepositoryError):
    """The repository has no role of that name."""


class NoSuchTargetError(RepositoryError):
    """The published state has no target of that path."""


class TargetNotAllowedError(RepositoryError):
    """A role may not sign a target of that path."""


class TargetExistsError(RepositoryError):
    """A target that never changes is published already, with another content."""


class KeyProblemError(RepositoryError):
    """A key cannot be used."""


class WrongPassphraseError(KeyProblemError):
    """The passphrase does not open the key file."""


class KeyUnavailableError(KeyProblemError):
    """A private key that is needed is not at hand."""


class KeyFileExistsError(KeyProblemError):
    """A key file would be overwritten."""


class ThresholdError(KeyProblemError):
    """A role's threshold does not fit the number of its keys."""


class CannotServeError(RepositoryError):
    """The address to serve at cannot be had."""
