"""Policy: the administrator's rules, in files that unprivileged users cannot change.

All ``*.toml`` files in the policy folder are read in the order of their names; a later file
overrides an earlier one. A rule that any file sets is locked: no person's setting changes it.

The files are applied all together or not at all. If one is malformed, the last good policy stays
in force; every command that changes the store keeps it in ``STORE/policy.json``. If there never was
a good policy, nothing is installed automatically and nothing can be removed until the file is
corrected: the administrator wanted some rule, and no one can tell which.

If another account could change a file, or a folder on the way to it, the files may be that
account's. Then they are refused: until that is corrected, nothing is installed, removed or
restarted automatically, whatever the last good policy says.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from repoint.device.os_errors import explained
from repoint.device.policy.maintenance_window import Window
from repoint.device.policy.rule_errors import why_malformed
from repoint.device.store.files import read_note
from repoint.fs.durable import write_durably
from repoint.fs.trusted import UntrustedFileError, read_trusted, require_trusted_way
from repoint.model.address import Address, reports_address
from repoint.model.encoding import encode_record, toml_reason
from repoint.model.errors import RepointError
from repoint.model.names import check_ring

FOLDER = Path("/etc/repoint/policy.d")
"""The folder of the policy files; ``REPOINT_POLICY`` names another one, to try a policy."""

_FILE = "policy.json"
_MOST_BYTES = 1 << 20
_MOST_DAYS = 3650
_CORRECT = "Correct it; until then the last good policy stays in force"

Key = Literal[
    "automatic", "removal", "defer_days", "deadline_days", "window", "bandwidth", "metered",
    "urgent", "repositories", "ring", "reports", "export",
]  # fmt: skip
Days = Annotated[int, msgspec.Meta(ge=0, le=_MOST_DAYS)]
Rate = Annotated[int, msgspec.Meta(ge=10, le=10_000_000)]


class PolicyError(RepointError):
    """A policy file is malformed; the message names the file and the problem."""


class UntrustedPolicyError(PolicyError):
    """Another account could change the policy files."""


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The rules that policy files may set; None leaves the choice to the person.

    Attributes:
        automatic: Whether improvements are installed automatically.
        removal: Whether people may remove an improvement.
        defer_days: The number of days after its publication before an improvement may be
            installed automatically.
        deadline_days: The number of days after which it is installed and brought into force
            whatever the other rules say. Only a lack of disk space still prevents that.
        window: When improvements may be installed, and programs restarted, automatically.
        bandwidth: The limit for a download, in kB (1000 bytes) per second.
        metered: Whether downloads may use a metered connection.
        urgent: Whether an improvement for a fault that is being exploited overrides deferral,
            window (except for restarts) and metered connections.
        repositories: The URL prefixes that improvements may come from.
        ring: The ring of devices that this one belongs to in rollouts, instead of the one named at
            the enrolment; empty for none.
        reports: The address that reports are sent to; False if none are sent.
        export: Whether update runs write the status into files that other programs read.
    """

    automatic: bool | None = None
    removal: bool | None = None
    defer_days: Days | None = None
    deadline_days: Days | None = None
    window: str | tuple[str, ...] | None = None
    bandwidth: Rate | None = None
    metered: bool | None = None
    urgent: bool | None = None
    repositories: tuple[str, ...] | None = None
    ring: str | None = None
    reports: str | bool | None = None
    export: bool | None = None

    def __post_init__(self) -> None:
        if self.window == ():
            raise PolicyError("The list of maintenance windows is empty", hint=_CORRECT)
        self.windows()
        if self.ring:
            check_ring(self.ring)
        for address in self.repositories or ():
            Address.parse(address)
        if isinstance(self.reports, str):
            reports_address(self.reports)
        elif self.reports:
            raise PolicyError("There is no address to send reports to", hint=_CORRECT)

    def windows(self) -> tuple[Window, ...]:
        """Return the maintenance windows; none means any time."""
        texts = (self.window,) if isinstance(self.window, str) else self.window or ()
        return tuple(Window.parse(text) for text in texts)


class Policy(msgspec.Struct, frozen=True):
    """The policy that is in force.

    Attributes:
        rules: The rules.
        sources: The file that sets each rule, by the rule's name.
        problem: Why the current files are not in force, or "".
    """

    rules: Rules = Rules()
    sources: dict[str, str] = {}  # msgspec copies it for each record
    problem: str = ""

    def locked_by(self, key: Key) -> str:
        """Return the file that sets a rule, or "" if none does."""
        return self.sources.get(key, "")

    def allows(self, repository: str) -> bool:
        """Return whether improvements may come from an address.

        A prefix must end at a slash: ``https://updates.example.org`` does not allow
        ``https://updates.example.org.evil.example``.

        Raises:
            AddressError: The address is malformed.
        """
        address, allowed = Address.parse(repository), self.rules.repositories
        return allowed is None or any(address.is_below(Address.parse(one)) for one in allowed)


def policy_folder() -> Path:
    """Return the folder of this device's policy files."""
    return Path(os.environ.get("REPOINT_POLICY") or FOLDER)


def read_policy(store: Path, folder: Path | None = None) -> Policy:
    """Return the policy that is in force, without changing the store.

    Args:
        store: The store, which holds the last good policy.
        folder: The policy folder; the device's own by default.
    """
    folder = policy_folder() if folder is None else folder
    try:
        return _read_folder(folder, {0, _owner(store)})
    except FileNotFoundError:
        return Policy()
    except PolicyError as error:
        kept = read_note(store / _FILE, Policy)
        is_closed = isinstance(error, UntrustedPolicyError)
        if kept is None or is_closed:
            kept = _closed(kept or Policy(), str(folder))
        return msgspec.structs.replace(kept, problem=str(error))


def draft_policy(folder: Path) -> Policy:
    """Return the policy that the files of a folder would set.

    Raises:
        PolicyError: There is no such folder, or a file would be refused.
    """
    try:
        return _read_folder(folder, {0, os.geteuid()})
    except FileNotFoundError:
        raise PolicyError(
            f"The policy folder {folder} does not exist", hint="Check the path"
        ) from None


def keep_policy(store: Path, policy: Policy) -> None:
    """Store a good policy, in case a file becomes malformed later. The store must be locked."""
    if policy.problem or policy == read_note(store / _FILE, Policy):
        return
    with explained("keep the policy"):
        write_durably(store / _FILE, encode_record(policy))


def _closed(policy: Policy, source: str) -> Policy:
    """Return a policy under which nothing happens automatically and nothing can be removed."""
    rules = msgspec.structs.replace(
        policy.rules, automatic=False, removal=False, deadline_days=None, window=None, reports=False
    )
    sources = {key: file for key, file in policy.sources.items() if getattr(rules, key) is not None}
    return Policy(rules, {**sources, **dict.fromkeys(("automatic", "removal", "reports"), source)})


def _owner(store: Path) -> int:
    try:
        return store.stat().st_uid
    except OSError:
        return os.geteuid()


def _read_folder(folder: Path, owners: set[int]) -> Policy:
    try:
        require_trusted_way(folder, owners)
        files = sorted(
            path
            for path in folder.iterdir()
            if path.suffix == ".toml" and not path.name.startswith(".")
        )
    except FileNotFoundError:
        raise
    except UntrustedFileError as error:
        raise _untrusted(error) from None
    except OSError as error:
        raise PolicyError(
            f"The policy folder {folder} cannot be read: {error.strerror}",
            hint="Name a folder that all users may read",
        ) from None
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for file in files:
        table = _read_file(file, owners)
        merged |= table
        sources |= dict.fromkeys(table, str(file))
    return Policy(msgspec.convert(merged, Rules), sources)


def _read_file(file: Path, owners: set[int]) -> dict[str, Any]:
    import tomllib  # most devices have no policy file

    try:
        table = tomllib.loads(read_trusted(file, owners, limit=_MOST_BYTES).decode("utf-8-sig"))
    except UntrustedFileError as error:
        raise _untrusted(error) from None
    except FileNotFoundError:
        is_link = file.is_symlink()
        reason = f"it is a link to {file.readlink()}, which does not exist" if is_link else "gone"
        raise PolicyError(f"{file} cannot be read: {reason}", hint=_CORRECT) from None
    except PermissionError:
        raise PolicyError(
            f"{file} cannot be read by this account",
            hint="Run it as root, or make the file readable for all users",
        ) from None
    except OSError as error:
        raise PolicyError(f"{file} cannot be read: {error.strerror}", hint=_CORRECT) from None
    except UnicodeDecodeError:
        raise PolicyError(f"{file} is not UTF-8", hint=_CORRECT) from None
    except (ValueError, RecursionError) as error:
        reason = toml_reason(error)
        raise PolicyError(f"{file} is not valid TOML: {reason}", hint=_CORRECT) from None
    # Each file is checked alone, so that the error names it.
    reason = why_malformed(table, lambda rule: msgspec.convert(rule, Rules))
    if reason:
        raise PolicyError(f"{file} is not a valid policy: {reason}", hint=_CORRECT)
    return table


def _untrusted(error: UntrustedFileError) -> UntrustedPolicyError:
    return UntrustedPolicyError(
        f"The policy is refused, because {error}",
        hint=f"{error.remedy}; until then, nothing is installed, removed or restarted "
        "automatically",
    )
