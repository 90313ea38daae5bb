"""Asking for passphrases: from the environment for scripts, else at the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from repoint.model.errors import RepointError

VARIABLE = "REPOINT_PASSPHRASE"
"""Environment variable with the passphrase of all key files."""


class NoPassphraseError(RepointError):
    """A passphrase is needed and nobody can be asked."""


def asking() -> Callable[[str], bytes]:
    """A function that gives the passphrase of a role's key, asking each only once."""
    known: dict[str, bytes] = {}

    def ask(role: str) -> bytes:
        if role not in known:
            known[role] = _ask(f"Passphrase for the key of {role}: ")
        return known[role]

    return ask


def new_passphrase() -> bytes:
    """A passphrase for new key files, asked for twice."""
    given = _ask("Passphrase for the new keys: ")
    if VARIABLE not in os.environ and _ask("The same again: ") != given:
        raise NoPassphraseError("The two passphrases differ", hint="Try again")
    if not given:
        raise NoPassphraseError(
            "The passphrase is empty", hint="Give one, or say --no-passphrase to do without"
        )
    return given


def _ask(question: str) -> bytes:
    if VARIABLE in os.environ:
        return os.environ[VARIABLE].encode()
    if not sys.stdin.isatty():
        raise NoPassphraseError(
            "A passphrase is needed, and there is no terminal to ask for it",
            hint=f"Set {VARIABLE}, or run it in a terminal",
        )
    from getpass import getpass

    return getpass(question).encode()
