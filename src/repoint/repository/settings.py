"""``repository.toml``: the locations of the private keys and the lifetime of signatures.

The keys and the threshold of a role are in the signed metadata. These settings contain only
what the metadata cannot.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Literal

import msgspec

from repoint.model.address import Address, AddressError
from repoint.repository.errors import SettingsError
from repoint.repository.names import expiry_days

SETTINGS_FILE = "repository.toml"

_FILES = (".html", ".htm", ".json", ".xml", ".css", ".svg", ".php")
"""How the names of files end that people may copy an address of. A folder's name may have a dot."""


def public_address(text: str) -> Address:
    """Parse the public address of a repository, which must be https.

    The world finds advisories under it, and CSAF requires that nobody can change them on the way.

    Raises:
        AddressError: It is malformed, or not https.
    """
    address = Address.parse(text)
    if address.scheme != "https":
        raise AddressError(
            f"The address {text!r} is not an https address", hint="Write it with https"
        )
    return address


def folder_address(text: str) -> Address:
    """Parse the public address of a repository, as a person gives it.

    What was set before is only read: whoever has set a page's address can still correct it.

    Raises:
        AddressError: It is malformed, not https, or the address of a file.
    """
    address = public_address(text)
    if address.path.lower().endswith(_FILES):
        raise AddressError(
            f"The address {text!r} is that of a file",
            hint="Write that of the folder `public`, such as https://updates.example.org/kiosk",
        )
    return address


class RoleSettings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of one role.

    Attributes:
        expiry_days: Lifetime of the role's signatures, in days.
        keys: Key id to URI of the private key: ``file:`` and a path relative to the repository,
            or any URI that securesystemslib supports.
    """

    expiry_days: int
    keys: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not 1 <= self.expiry_days <= 3650:
            raise ValueError("expiry_days must be between 1 and 3650")


class RepositorySettings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of a repository.

    Attributes:
        roles: The settings of each role.
        fresh_until: Until when the timestamp lives only a day, in seconds since 1970, by product.
        address: The https address at which the public folder is served, without a slash at its
            end; empty if unknown.
    """

    format: Literal[1] = 1
    address: str = ""
    roles: dict[str, RoleSettings] = {}
    fresh_until: dict[str, int] = {}

    def __post_init__(self) -> None:
        if self.address:
            self.address = str(public_address(self.address))

    def is_kept_fresh(self, now: int) -> bool:
        """Return whether the timestamp lives only a day at the moment."""
        return any(until > now for until in self.fresh_until.values())

    def role(self, name: str) -> RoleSettings:
        """Return the settings of a role, with the default expiry if it has none yet."""
        return self.roles.setdefault(name, RoleSettings(expiry_days(name)))

    def uris(self) -> dict[str, str]:
        """Return the URI of every known key, by key id."""
        return {keyid: uri for role in self.roles.values() for keyid, uri in role.keys.items()}

    def encode(self) -> bytes:
        """Encode the settings as TOML."""
        return msgspec.toml.encode(self)

    @classmethod
    def read(cls, folder: Path) -> RepositorySettings:
        """Read the settings of the repository in ``folder``.

        Raises:
            SettingsError: The settings cannot be read.
        """
        path = folder / SETTINGS_FILE
        try:
            return msgspec.toml.decode(path.read_bytes().removeprefix(codecs.BOM_UTF8), type=cls)
        except OSError as error:
            raise SettingsError(
                f"{path} cannot be read: {error.strerror}", hint="Run as the owner of the file"
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError, AddressError) as error:
            raise SettingsError(
                f"{path} is not valid: {error}", hint="Correct it, or restore it from a backup"
            ) from None
