"""The ``repoint`` command: parse, call, print. The other rooms do the work.

What this module imports delays every command, so it imports little and leaves the command-line
library to `repoint.cli.app`.
"""

from __future__ import annotations

import errno
import gc
import sys

from repoint.cli.terminal import (
    abandon_output,
    flush_output,
    open_streams,
    print_error,
    print_text,
    use_utf8,
)
from repoint.model.errors import RepointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_INTERRUPTED = 130
"""What Typer returns after Ctrl-C: 128 plus the number of SIGINT."""

_ALLOCATIONS_PER_COLLECTION = 50_000
"""Imports create many objects that stay. At CPython's default of 700, the garbage collector runs
through them again and again: a tenth of the processor time of a short command."""

_HINTS = {
    errno.ENOENT: "Check the path",
    errno.ENOTDIR: "Check the path",
    errno.EISDIR: "Name a file",
    errno.EEXIST: "Name a path that does not exist yet",
    errno.ENOSPC: "Free some space and try again",
    errno.EDQUOT: "Free some space and try again",
    errno.EFBIG: "Free some space and try again",
    errno.EROFS: "Name a path that can be written to",
    errno.EACCES: "Run it as the user who owns it, or as root",
    errno.EPERM: "Run it as the user who owns it, or as root",
}


def main() -> None:
    """Run the command. Exits with status 0, 1 (failed or stopped) or 2 (wrong usage)."""
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)
    use_utf8()
    open_streams()
    try:
        status = _run(sys.argv[1:])
        flush_output()
    except RepointError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has closed it, so nobody would read a message.
        abandon_output(sys.stdout)
        sys.exit(1)
    except UnicodeEncodeError as error:
        _fail(f"'{_around(error)}' is not valid UTF-8. Write or rename it in UTF-8, then try again")
    except OSError as error:
        _fail_if_output_failed()
        path = error.filename2 or error.filename
        hint = _HINTS.get(error.errno or 0, "Correct that, then try again")
        _fail(f"{error.strerror or error}{f': {path}' if path else ''}. {hint}")
    except Exception as error:
        import typer

        if isinstance(error, typer.Abort):
            _fail("Stopped at your request. Nothing was changed")
        # The public names of the exceptions for wrong usage differ between versions of Typer.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            _show_help(error.format_message())
        _misused(" ".join(error.format_message().split()), getattr(error, "ctx", None))
    if status == _INTERRUPTED:
        _fail("Interrupted. Nothing is left half done; run the command again")
    sys.exit(status if isinstance(status, int) else 0)


def _run(arguments: list[str]) -> object:
    """Run a command; return its exit status."""
    if arguments == ["--version"]:
        from repoint import __version__

        print_text(f"repoint {__version__}\n")
        return 0
    if arguments[:1] == ["launch"]:
        from repoint.cli.launch import launch

        launch(arguments[1:])  # returns only if Typer has to parse the command
    else:
        _refuse_bytes(arguments)
    if arguments[:1] == ["status"]:
        from repoint.cli.status import status

        exit_status = status(arguments[1:])
        if exit_status is not None:
            return exit_status
    from repoint.cli.app import app

    return app(prog_name="repoint", standalone_mode=False)


def _show_help(text: str) -> NoReturn:
    """Print the help of a group that was named without a command."""
    try:
        print_text(f"{text}\n")
        flush_output()
    except (BrokenPipeError, RepointError):
        abandon_output(sys.stdout)
    sys.exit(2)


def _misused(message: str, context: object) -> NoReturn:
    if message:
        command = getattr(context, "command_path", "repoint")
        group = getattr(context, "command", None)
        if message.startswith("No such command") and " " in command and group is not None:
            has = ", ".join(group.list_commands(context))
            # A question is there if Click knows a similar command.
            link = " It has" if message.endswith("?") else "; it has"
            message = f"{message.rstrip('.')}{link} {has}"
        end = "" if message.endswith("?") else "."
        _fail(f"{message.rstrip('.')}{end} See `{command} --help`", 2)
    # A group without a command has printed its help.
    sys.exit(2)


def _fail(message: str, status: int = 1) -> NoReturn:
    try:
        flush_output()
    except (OSError, RepointError):
        abandon_output(sys.stdout)
    print_error(message)
    sys.exit(status)


def _fail_if_output_failed() -> None:
    """Fail with the right message if the error comes from a write of the command-line library."""
    try:
        flush_output()
    except BrokenPipeError:
        return
    except RepointError as error:
        _fail(str(error))


def _refuse_bytes(arguments: list[str]) -> None:
    """Refuse an argument that is not UTF-8: it could neither be recorded nor published."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            _fail(f"The argument '{argument}' is not valid UTF-8. Write it in UTF-8", 2)


def _around(error: UnicodeEncodeError) -> str:
    """Return the text around what could not be encoded, without the rest of a document."""
    return error.object[max(0, error.start - 40) : error.end + 40]
