"""The ``repoint`` command: parse, call, print. What it does is done by the other rooms."""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

from repoint.model.errors import RepointError

_INTERRUPTED = 130
"""What typer returns after Ctrl-C: 128 and the number of SIGINT."""

_HINTS = {
    errno.ENOENT: "Check the path",
    errno.ENOTDIR: "Check the path",
    errno.EISDIR: "Name a file",
    errno.EEXIST: "Name a path where nothing is yet",
    errno.ENOSPC: "Free some space and try again",
    errno.EDQUOT: "Free some space and try again",
    errno.EFBIG: "Free some space and try again",
    errno.EROFS: "Name a place that can be written to",
    errno.EACCES: "Run it as the user who owns it, or as root",
    errno.EPERM: "Run it as the user who owns it, or as root",
}


def main() -> None:
    """Run the command; ends with status 0, 1 (failed or stopped) or 2 (wrong usage)."""
    try:
        from repoint.cli.app import app

        status = app(prog_name="repoint", standalone_mode=False)
    except RepointError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        place = error.filename2 or error.filename
        where = f": {place}" if place else ""
        hint = _HINTS.get(error.errno or 0, "Correct that, then try again")
        _fail(f"{error.strerror or error}{where}. {hint}")
    except Exception as error:
        import typer

        if isinstance(error, typer.Abort):
            _fail("Stopped, as you said. Nothing was changed")
        # typer's versions differ in which of the exceptions for wrong usage have public names.
        if not hasattr(error, "format_message"):
            raise
        _misused(error.format_message(), getattr(error, "ctx", None))
    if status == _INTERRUPTED:
        _fail("Stopped. Nothing half done stays behind; run it again to go on")
    sys.exit(status if isinstance(status, int) else 0)


def _misused(message: str, context: object) -> NoReturn:
    if message:
        command = getattr(context, "command_path", "repoint")
        _fail(f"{message.rstrip('.')}. See `{command} --help`", 2)
    # The help was asked for by saying nothing, and has been printed.
    sys.exit(2)


def _fail(message: str, status: int = 1) -> NoReturn:
    print(f"repoint: {' '.join(message.splitlines())}", file=sys.stderr)
    sys.exit(status)
