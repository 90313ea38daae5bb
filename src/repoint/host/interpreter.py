"""Commands that run a module of this package in a new, isolated interpreter."""

from __future__ import annotations

import site
import sys
from pathlib import Path


def isolation() -> tuple[str, ...]:
    """Return the options of the interpreter for our own programs.

    They ignore the environment and the working folder, and take names of files as UTF-8. The
    packages of the account are ignored too, unless Repoint itself is one of them.
    """
    in_user_site = site.ENABLE_USER_SITE and Path(__file__).is_relative_to(
        site.getusersitepackages()
    )
    return (*(("-E", "-P") if in_user_site else ("-I",)), "-X", "utf8")


def module_command(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module of this package."""
    return (sys.executable, *isolation(), "-m", module, *arguments)
