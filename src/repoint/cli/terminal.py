"""The streams of a command, and the only way to print on them.

Commands import `print` and `confirm` from here. What they print may hold text from outside, so
each call prints exactly one line, and nothing in it acts on the terminal; see
`repoint.model.printable`.

Every command imports this module, so it imports little.
"""

from __future__ import annotations

import io
import os
import sys

from repoint.model.errors import RepointError
from repoint.model.printable import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO


_ANSWERS = {"y": True, "yes": True, "n": False, "no": False}


class OutputError(RepointError):
    """Standard output or standard error cannot be written to."""


def print(*values: object, file: TextIO | None = None, flush: bool = False) -> None:
    """Print one line, on standard output by default.

    Raises:
        BrokenPipeError: The reader has closed the pipe.
        OutputError: The stream cannot be written to.
    """
    _write(one_line(" ".join(map(str, values))) + "\n", file or sys.stdout, flush=flush)


def print_error(message: str) -> None:
    """Print one line on standard error; a message that cannot be printed is lost."""
    try:
        _write(f"repoint: {one_line(message)}\n", sys.stderr, flush=True)
    except (OSError, OutputError):
        return


def print_text(text: str) -> None:
    """Print text that holds nothing from outside, and ends with a line break."""
    _write(text, sys.stdout)


def confirm(question: str, *, default: bool = False, abort: bool = False) -> bool:
    """Ask a question with the answers yes and no.

    Raises:
        typer.Abort: The answer is no and `abort` is set, or there is no answer.
    """
    import typer

    while True:
        answer = ask(f"{one_line(question)} [{'Y/n' if default else 'y/N'}]: ").strip().lower()
        if answer in _ANSWERS or not answer:
            break
        print_text("Answer y or n.\n")
    agreed = _ANSWERS.get(answer, default)
    if abort and not agreed:
        raise typer.Abort
    return agreed


def ask(question: str, read: Callable[[str], str] = input) -> str:
    """Ask a question, and return the line that is typed.

    Args:
        question: The question, with what stands between it and the answer.
        read: Asks and reads.

    Raises:
        typer.Abort: There is no answer, or Ctrl-C was pressed.
    """
    import typer

    try:
        return read(question)
    except (KeyboardInterrupt, EOFError):
        print_text("\n")  # what follows stands on a line of its own
        raise typer.Abort from None


def flush_output() -> None:
    """Flush standard output. At exit, Python would ignore an error.

    Raises:
        BrokenPipeError: The reader has closed the pipe.
        OutputError: Standard output cannot be written to.
    """
    _write("", sys.stdout, flush=True)


def abandon_output(stream: TextIO) -> None:
    """Discard what a stream holds and cannot write, so that Python does not try again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def open_streams() -> None:
    """Make the standard streams usable, whatever this process was started with.

    A closed one would be None, and its number would be given to the next file that is opened. It
    is opened so that a read returns end-of-file and a write to standard output fails. A character
    that the encoding lacks is printed as an escape sequence.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def use_utf8() -> None:
    """Start this program again in Python's UTF-8 mode, unless file names are UTF-8 already.

    Python chooses the encoding of file names when it starts, from the locale. Names and texts of
    products are UTF-8 on every machine. See ``docs/decisions/0039-utf-8-whatever-the-locale.md``.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606


def _write(text: str, stream: TextIO, *, flush: bool = False) -> None:
    try:
        stream.write(text)
        if flush:
            stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon_output(stream)
        raise OutputError(
            f"The output cannot be written: {error.strerror}",
            hint="Check where it goes, then run `repoint status` to see what was done",
        ) from error
