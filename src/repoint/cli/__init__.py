"""The ``repoint`` command: parse, call, print. What it does is done by the other rooms."""

from __future__ import annotations

import os
import sys

from repoint.model.errors import RepointError


def main() -> None:
    """Run the command; ends with status 0, 1 (failed) or 2 (wrong usage)."""
    from repoint.cli.app import app

    try:
        app(standalone_mode=True)
    except RepointError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("Stopped; nothing half done stays behind")
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _fail(f"{error.strerror or error}{where}")


def _fail(message: str) -> None:
    print(f"repoint: {message}", file=sys.stderr)
    sys.exit(1)
