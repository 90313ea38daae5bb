"""Child processes that run a module of this package, and the lines exchanged with them."""

from __future__ import annotations

import json
import os
import signal
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any, TypeVar

import msgspec

_Message = TypeVar("_Message", bound=msgspec.Struct)

_BOOTSTRAP = (
    "import sys, json, importlib;"
    "sys.path[:] = json.loads(sys.argv[1]);"
    "importlib.import_module(sys.argv[2]).main()"
)


def python_command(module: str) -> list[str]:
    """Return the command that runs `main()` of a module in a new interpreter.

    The interpreter is isolated: no environment variables and no user site. It searches for modules
    where this one does, so that it also finds a package that is not installed, but not in the
    current folder, which may belong to anybody.
    """
    package = str(Path(__file__).resolve().parents[3])
    others = (entry for entry in sys.path if Path(entry).is_absolute() and entry != package)
    paths = [package, *others]
    options = ("-I", "-B", "-X", "utf8")
    return [sys.executable, *options, "-c", _BOOTSTRAP, json.dumps(paths), module]


def python_environment() -> dict[str, str]:
    """Return the environment of such a process: one thread each, and nothing of the caller's.

    A person's own interpreter may need `LD_LIBRARY_PATH` to start; root's must not depend on it.
    """
    environment = {"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if os.geteuid() != 0 and "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return environment


def describe_exit(code: int) -> str:
    """Return a description of the exit code of a child that sent no answer."""
    if code >= 0:
        return f"its process ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    reasons = {
        "SIGKILL": "it was killed, perhaps because memory ran out",
        "SIGXCPU": "it took too long",
        "SIGSYS": "it made a forbidden system call",
        "SIGILL": "this processor lacks an instruction that a library needs",
    }
    return f"{reasons.get(name, 'its process crashed')} ({name})"


def exit_hint(code: int) -> str:
    """Return what a person can do about an exit code, if there is more to do than to retry."""
    if code == -signal.SIGILL:
        return "Nothing was changed; install a NumPy that is built for this processor"
    return ""


def to_line(message: msgspec.Struct) -> bytes:
    """Return a message as one line of JSON; paths are encoded as bytes in base64."""
    return msgspec.json.encode(message, enc_hook=os.fsencode) + b"\n"


def from_line(line: bytes, type_: type[_Message]) -> _Message:
    """Return the message of a line.

    Raises:
        msgspec.MsgspecError: The line is not a message of this type.
    """
    return msgspec.json.decode(line, type=type_, dec_hook=_path)


def _path(_type: type, text: Any) -> Path:
    return Path(os.fsdecode(b64decode(text)))
