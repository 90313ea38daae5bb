"""Policy: what an administrator decides, in files that people without rights cannot change.

All ``*.toml`` files of the policy folder count, in the order of their names; what a later one sets
replaces what an earlier one set. What any file sets is locked: no person's setting changes it.

The files are taken all together or not at all. Where one is malformed, the policy that was last
found whole stays in force, which every command that changes the store keeps in
``STORE/policy.json``. Where there never was one, nothing is installed by itself and nothing
removed until the file is put right: somebody meant to decide, and nobody knows what.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from repoint.device.os_errors import explained
from repoint.device.policy.maintenance_window import Window
from repoint.device.store.files import read_note
from repoint.fs.durable import write_durably
from repoint.model.encoding import encode_record
from repoint.model.errors import RepointError

FOLDER = Path("/etc/repoint/policy.d")
"""Where policy files lie; ``REPOINT_POLICY`` names another folder, to try one out."""

_FILE = "policy.json"
_MOST_BYTES = 1 << 20
_MOST_DAYS = 3650

Key = Literal[
    "automatic", "removal", "defer_days", "deadline_days", "window", "bandwidth", "metered",
    "urgent", "repositories",
]  # fmt: skip
Days = Annotated[int, msgspec.Meta(ge=0, le=_MOST_DAYS)]
Rate = Annotated[int, msgspec.Meta(ge=10, le=10_000_000)]


class PolicyError(RepointError):
    """A policy file is malformed; the message names it and what is wrong."""


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What policy files may set; nothing where they leave it to the person.

    Attributes:
        automatic: Whether improvements install by themselves.
        removal: Whether people may remove an improvement.
        defer_days: How many days after its publication an improvement may install by itself.
        deadline_days: After how many days it is installed and brought into force whatever else
            speaks against it, but for a lack of space.
        window: When improvements install by themselves and programs restart by themselves.
        bandwidth: What a download may use, in kB (1000 bytes) a second.
        metered: Whether downloads may use a metered connection.
        urgent: Whether an improvement against attacks that were seen passes over deferral,
            window (but not for restarts) and metered connections.
        repositories: The beginnings of the addresses that improvements may come from.
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

    def __post_init__(self) -> None:
        self.windows()
        for address in self.repositories or ():
            if not address.startswith(("https://", "http://")):
                raise PolicyError(
                    f"{address!r} in repositories is no address",
                    hint='Write it as "https://updates.example.org/"',
                )

    def windows(self) -> tuple[Window, ...]:
        """The maintenance windows; none where any time will do."""
        texts = (self.window,) if isinstance(self.window, str) else self.window or ()
        return tuple(Window.parse(text) for text in texts)


class Policy(msgspec.Struct, frozen=True):
    """The policy that is in force.

    Attributes:
        rules: What it sets.
        sources: For everything that it sets, the file that does.
        problem: Why the files as they are now are not in force; empty where they are.
    """

    rules: Rules = Rules()
    sources: dict[str, str] = {}  # msgspec copies it for each record
    problem: str = ""

    def locked_by(self, key: Key) -> str:
        """The file that decides something; empty where the person does."""
        return self.sources.get(key, "")

    def allows(self, repository: str) -> bool:
        """Whether improvements may come from a repository.

        A beginning counts only as a whole: ``https://updates.example.org`` does not allow
        ``https://updates.example.org.evil.example``.
        """
        allowed = self.rules.repositories
        if allowed is None:
            return True
        address = f"{repository.rstrip('/')}/"
        return any(address.startswith(f"{beginning.rstrip('/')}/") for beginning in allowed)


def policy_folder() -> Path:
    """Where this device's policy files lie."""
    return Path(os.environ.get("REPOINT_POLICY") or FOLDER)


def read_policy(store: Path, folder: Path | None = None) -> Policy:
    """The policy that is in force. Changes nothing.

    Args:
        store: The store, which keeps the last good policy.
        folder: The policy folder; the device's own where none is given.
    """
    folder = policy_folder() if folder is None else folder
    try:
        return _read_folder(folder)
    except PolicyError as error:
        kept = read_note(store / _FILE, Policy)
        if kept is None:
            rules, source = Rules(automatic=False, removal=False), str(folder)
            kept = Policy(rules, {"automatic": source, "removal": source})
        return msgspec.structs.replace(kept, problem=str(error))


def keep_policy(store: Path, policy: Policy) -> None:
    """Keep a whole policy for the day on which a file is malformed. The store must be locked."""
    if policy.problem or policy == read_note(store / _FILE, Policy):
        return
    with explained("keep the policy"):
        write_durably(store / _FILE, encode_record(policy))


def _read_folder(folder: Path) -> Policy:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except FileNotFoundError:
        return Policy()
    except OSError as error:
        raise PolicyError(
            f"The policy folder {folder} cannot be read: {error.strerror}",
            hint="Let everybody read it",
        ) from None
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for file in files:
        table = _read_file(file)
        merged |= table
        sources |= dict.fromkeys(table, str(file))
    return Policy(_rules(merged, str(folder)), sources)


def _read_file(file: Path) -> dict[str, Any]:
    hint = "Put that right; until then the last good policy stays in force"
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise PolicyError(f"{file} is larger than {_MOST_BYTES >> 20} MiB", hint=hint)
        table = tomllib.loads(content.decode())
    except OSError as error:
        raise PolicyError(f"{file} cannot be read: {error.strerror}", hint=hint) from None
    except UnicodeDecodeError:
        raise PolicyError(f"{file} is not UTF-8", hint=hint) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise PolicyError(f"{file} is not TOML: {reason}", hint=hint) from None
    _rules(table, str(file))  # each file must be fit by itself, so that the error names it
    return table


def _rules(table: dict[str, Any], where: str) -> Rules:
    try:
        return msgspec.convert(table, Rules)
    except (msgspec.ValidationError, RepointError) as error:
        reason = str(error).rstrip(".").replace("Object", "it").replace(" - at `$.", " at `")
        raise PolicyError(
            f"{where} is no policy: {reason}",
            hint="Put that right; until then the last good policy stays in force",
        ) from None
