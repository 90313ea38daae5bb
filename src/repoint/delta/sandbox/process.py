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
    """The command that runs `main()` of a module in a new interpreter.

    The interpreter is isolated (no environment variables, no user site) and searches for modules
    where this one does, except in the current folder, which may be anybody's: so it finds this
    package also where it is not installed.
    """
    here = str(Path(__file__).resolve().parents[3])
    paths = [here, *(entry for entry in sys.path if Path(entry).is_absolute() and entry != here)]
    return [sys.executable, "-I", "-B", "-c", _BOOTSTRAP, json.dumps(paths), module]


def died(code: int) -> str:
    """What an exit code of `subprocess` says about a child that gave no answer."""
    if code >= 0:
        return f"its process ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = {
        "SIGKILL": "it was killed, perhaps because memory ran out",
        "SIGXCPU": "it took too long",
        "SIGSYS": "it tried what it may not do",
        "SIGILL": "this processor lacks an instruction that a library needs",
    }
    return f"{why.get(name, 'its process crashed')} ({name})"


def cure(code: int) -> str:
    """What a person can do about it, where more room and memory would not help."""
    if code == -signal.SIGILL:
        return "Nothing was changed; install a NumPy that is built for this processor"
    return ""


def to_line(message: msgspec.Struct) -> bytes:
    """A message as one line of JSON, with paths as the bytes that they are (in base64)."""
    return msgspec.json.encode(message, enc_hook=os.fsencode) + b"\n"


def from_line(line: bytes, type_: type[_Message]) -> _Message:
    """A message from its line.

    Raises:
        msgspec.MsgspecError: It is none of this type.
    """
    return msgspec.json.decode(line, type=type_, dec_hook=_path)


def _path(_type: type, text: Any) -> Path:
    return Path(os.fsdecode(b64decode(text)))
