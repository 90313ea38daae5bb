"""Passphrases: from the environment for scripts, or else from the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from repoint.model.errors import RepointError

VARIABLE = "REPOINT_PASSPHRASE"
"""Environment variable with the passphrase of all key files."""


class NoPassphraseError(RepointError):
    """A passphrase is needed, and none is available."""


def asking() -> Callable[[str], bytes]:
    """Return a function that returns the passphrase of a role's key; it asks once for each."""
    known: dict[str, bytes] = {}

    def ask(role: str) -> bytes:
        if role not in known:
            known[role] = _ask(f"Passphrase for the key of {role}: ")
        return known[role]

    return ask


def from_environment(role: str) -> bytes:
    """Return the passphrase of a role's key for a server, which asks nobody.

    Raises:
        NoPassphraseError: The environment has none.
    """
    if VARIABLE not in os.environ:
        raise NoPassphraseError(
            f"The key of the role {role} is encrypted, and a server cannot ask for its passphrase",
            hint=f"Set {VARIABLE} before you start it",
        )
    return os.environ[VARIABLE].encode()


def new_passphrase() -> bytes:
    """Ask for the passphrase of new key files, twice."""
    passphrase = _ask("Passphrase for the new keys: ")
    if VARIABLE not in os.environ and _ask("Repeat it: ") != passphrase:
        raise NoPassphraseError("The passphrases do not match", hint="Try again")
    if not passphrase:
        raise NoPassphraseError("The passphrase is empty", hint="Enter one, or use --no-passphrase")
    return passphrase


def _ask(question: str) -> bytes:
    if VARIABLE in os.environ:
        return os.environ[VARIABLE].encode()
    if not sys.stdin.isatty():
        raise NoPassphraseError(
            "A passphrase is needed, and there is no terminal to ask for it",
            hint=f"Set {VARIABLE}, or run it in a terminal",
        )
    from getpass import getpass

    from repoint.cli.terminal import ask

    return ask(question, getpass).encode()
