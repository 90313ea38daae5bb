"""``repository.toml``: where the private keys are and how long signatures last.

Which keys a role has, and how many of them must sign, stands in the signed metadata alone; here
is only what the metadata cannot say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from repoint.repository.errors import SettingsError
from repoint.repository.names import expiry_days

SETTINGS_FILE = "repository.toml"


class RoleSettings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of one role.

    Attributes:
        expiry_days: Days for which a signature of this role lasts.
        keys: Key id to URI of the private key: ``file:`` and a path relative to the repository
            for an own key file, or any URI that securesystemslib knows.
    """

    expiry_days: int
    keys: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not 1 <= self.expiry_days <= 3650:
            raise ValueError("expiry_days must lie between 1 and 3650")


class RepositorySettings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of a repository, by role."""

    format: Literal[1] = 1
    roles: dict[str, RoleSettings] = {}

    def role(self, name: str) -> RoleSettings:
        """The settings of a role, made with the default expiry where there are none yet."""
        return self.roles.setdefault(name, RoleSettings(expiry_days(name)))

    def uris(self) -> dict[str, str]:
        """Key id to URI, over all roles."""
        return {keyid: uri for role in self.roles.values() for keyid, uri in role.keys.items()}

    def encode(self) -> bytes:
        """The TOML form."""
        return msgspec.toml.encode(self)

    @classmethod
    def read(cls, folder: Path) -> RepositorySettings:
        """Read the settings of the repository in ``folder``.

        Raises:
            SettingsError: They cannot be read.
        """
        path = folder / SETTINGS_FILE
        try:
            return msgspec.toml.decode(path.read_bytes(), type=cls)
        except OSError as error:
            raise SettingsError(
                f"{path} cannot be read: {error.strerror}", hint="Run as the owner of the file"
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{path} is not valid: {error}", hint="Correct it, or restore it from a backup"
            ) from None
