"""How this device reaches repositories: the network settings file, and the environment.

A service of systemd has no proxy in its environment, and an address is no place for a password. So
both have a file, which only its owner may read.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from repoint.device.errors import NetworkSettingsError
from repoint.fs.trusted import UntrustedFileError, read_trusted
from repoint.model.address import Address, AddressError

_LIMIT = 1 << 16


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"below": "for"}):
    """How this device identifies itself to one server.

    Attributes:
        below: The address that it is for, with everything below it.
        user: The user name for basic authentication.
        password: The password for it.
        certificate: A file with the client certificate in PEM format.
        key: A file with its private key; empty if the certificate's file holds it.
    """

    below: str
    user: str = ""
    password: str = ""
    certificate: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        Address.parse(self.below)
        if bool(self.user) == bool(self.certificate) and not self.user:
            raise ValueError("a credential needs `user` and `password`, or `certificate`")
        for name in (self.certificate, self.key):
            if name and not Path(name).is_absolute():
                raise ValueError("`certificate` and `key` are absolute paths")


class NetworkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the network settings file.

    Attributes:
        proxy: The address of the proxy, which may hold a user name and a password; "" for none;
            None for that of the environment.
        no_proxy: The hosts that are reached without it, in the form of ``NO_PROXY``.
        authorities: A file with certificates to trust in addition to the system's.
        credentials: How to identify this device; the first that fits an address counts.
    """

    proxy: str | None = None
    no_proxy: str = ""
    authorities: str = ""
    credentials: tuple[Credential, ...] = ()


def _permit_all(address: str) -> None:
    pass


@dataclass(frozen=True)
class Network:
    """How a device reaches repositories.

    Attributes:
        settings: The network settings.
        file: The settings file, for messages.
        environment: The environment variables.
        permit: Called with each address, also those of redirects; raises what refuses it.
        on_slow: Called with the host from another thread, once, if it does not answer for some
            seconds.
    """

    settings: NetworkSettings = field(default_factory=NetworkSettings)
    file: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    permit: Callable[[str], None] = _permit_all
    on_slow: Callable[[str], None] | None = None

    def credential(self, address: Address) -> Credential | None:
        """Return the credential for an address, or None if it has none."""
        for credential in self.settings.credentials:
            if address.is_below(Address.parse(credential.below)):
                return credential
        return None


def read_network(
    permit: Callable[[str], None], on_slow: Callable[[str], None] | None = None
) -> Network:
    """Return how this device reaches repositories: see `Network`.

    Raises:
        NetworkSettingsError: The settings file is malformed, or other accounts could read or
            change it.
    """
    file = settings_file()
    return Network(_read(file), str(file), dict(os.environ), permit, on_slow)


def settings_file() -> Path:
    """Return the network settings file; ``REPOINT_NETWORK`` names another one."""
    named = os.environ.get("REPOINT_NETWORK")
    if named:
        return Path(named)
    if os.geteuid() == 0:
        return Path("/etc/repoint/network.toml")
    folder = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(os.path.expanduser(folder)) / "repoint/network.toml"  # noqa: PTH111


def _read(file: Path) -> NetworkSettings:
    try:
        content = read_trusted(file, {0, os.geteuid()}, limit=_LIMIT, secret=True)
    except FileNotFoundError:
        if os.environ.get("REPOINT_NETWORK"):
            raise NetworkSettingsError(
                f"The network settings {file} do not exist", hint="Correct REPOINT_NETWORK"
            ) from None
        return NetworkSettings()
    except UntrustedFileError as error:
        raise NetworkSettingsError(
            f"The network settings {file} are not used: {error}", hint=error.remedy
        ) from None
    except OSError as error:
        raise NetworkSettingsError(
            f"The network settings {file} cannot be read: {error.strerror}",
            hint="Correct that, then try again",
        ) from None
    # An error must not show the content, which may hold a password.
    try:
        return msgspec.convert(tomllib.loads(content.decode("utf-8-sig")), NetworkSettings)
    except (msgspec.ValidationError, AddressError) as error:
        reason = str(error).replace("Object", "it").replace(" - at `$", " at `").replace("`.", "`")
    except (ValueError, RecursionError):
        reason = "it is not valid TOML"
    raise NetworkSettingsError(
        f"The network settings {file} are malformed: {reason.rstrip('.')}",
        hint="The agent guide lists the keys",
    )
