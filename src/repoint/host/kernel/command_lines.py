"""What a process was told to run, judged by its arguments and its environment.

An interpreter reads a program's text and closes it again, so that neither its memory map nor its
open files name what it runs. needrestart judges such processes by the same means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from repoint.host.kernel.search_paths import names_folders

Source = Literal["script", "argument", "environment", "folder"]
"""Where a path stands: it is what an interpreter runs, another argument, in the environment, or the
working folder."""

_SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "busybox", "fish"}
_PYTHONS = {"python", "pypy"}
_OTHERS = {
    "perl", "ruby", "jruby", "node", "nodejs", "bun", "deno", "php", "php-cgi", "php-fpm", "lua",
    "luajit", "tclsh", "wish", "guile", "gjs", "rscript", "java", "mono", "dotnet", "erl",
    "beam.smp", "gawk", "mawk", "awk", "raku", "sbcl", "racket", "julia", "ocaml",
}  # fmt: skip
_SEPARATORS = re.compile("[:;]")
_VERSION = re.compile(r"[-.\d]+t?$")

_WITH_VALUE = {"python": "WX", "pypy": "WX", "ruby": "IrCE", "node": "r", "nodejs": "r",
               "php": "cdz", "lua": "l"}  # fmt: skip
"""Single letters of options whose value is the next argument."""
_LONG_WITH_VALUE = {
    "--require", "--import", "--loader", "--experimental-loader", "--check-hash-based-pycs",
    "--php-ini", "--define", "--rcfile", "--init-file", "-cp", "-classpath", "--class-path",
    "-o", "+o", "-O", "+O",
}  # fmt: skip
_SCRIPT_FOLLOWS = {"-jar", "-f", "--file"}
_CODE = {"perl": "eE", "ruby": "e", "node": "ep", "nodejs": "ep", "php": "rBR", "lua": "e"}
"""Single letters of options that are followed by the program's text; ``c`` for the others."""

_NOT_CODE = {
    "PATH", "PWD", "OLDPWD", "_", "HOME", "SHELL", "MANPATH", "INFOPATH", "LD_LIBRARY_PATH",
    "XDG_DATA_DIRS", "XDG_CONFIG_DIRS", "SUDO_COMMAND", "LS_COLORS",
}  # fmt: skip
"""Variables that name folders for other reasons than that the process reads code there."""


class Mention(msgspec.Struct, frozen=True):
    """A path that a process was given.

    Attributes:
        path: The path, absolute or relative to the working folder.
        source: Where it stands.
        is_surely_path: True if it is written as a path, or stands where only a path may stand.
    """

    path: str
    source: Source
    is_surely_path: bool = True


class CommandLine(msgspec.Struct, frozen=True):
    """What a process was told to run.

    Attributes:
        interpreter: The name of its interpreter; empty if its program is not one.
        mentions: The paths that it was given, each once.
    """

    interpreter: str
    mentions: tuple[Mention, ...]

    @property
    def reads_folder(self) -> bool:
        """Whether it may read code from its working folder unasked, as shells never do."""
        return bool(self.interpreter) and self.interpreter not in _SHELLS


def read_command_line(
    program: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> CommandLine:
    """Judge what a process runs.

    Args:
        program: The path of its executable.
        arguments: Its arguments, the program's name first.
        environment: Its environment.
    """
    interpreter = interpreter_name(program)
    if not arguments:
        return CommandLine(interpreter, ())
    mentions = [Mention(path, "argument") for path in _paths(arguments[1:])]
    if not interpreter:
        return CommandLine("", tuple(dict.fromkeys(mentions)))
    script, module = _told(interpreter, arguments[1:])
    scripts = [Mention(path, "script", False) for path in _module_files(module, environment)]
    scripts = [Mention(script, "script")] if script else scripts
    # The interpreter of a virtual environment is a link to one elsewhere.
    folder = arguments[0].rpartition("/")[0]
    mentions = [
        *scripts,
        *mentions,
        *([Mention(folder, "argument")] if folder else []),
        *_environment_mentions(environment),
        *(Mention(word, "argument", False) for word in _words(arguments[1:])),
    ]
    first: dict[str, Mention] = {}
    for mention in mentions:
        first.setdefault(mention.path, mention)
    is_prompt = interpreter in _SHELLS and not script and "-c" not in arguments
    # A shell without a script reads commands from a person.
    return CommandLine(interpreter, () if is_prompt else tuple(first.values()))


def interpreter_name(program: str) -> str:
    """Return the name of the interpreter that a program is, without its version; or empty."""
    name = program.rpartition("/")[2].lower()
    for candidate in (name, _VERSION.sub("", name)):
        if candidate in _SHELLS | _PYTHONS | _OTHERS:
            return candidate
    return ""


def _told(interpreter: str, arguments: Sequence[str]) -> tuple[str, str]:
    """Return the script and the module that an interpreter was told to run."""
    left = list(arguments)
    while left:
        word = left.pop(0)
        following = left[0] if left else ""
        if word == "--" or word in _SCRIPT_FOLLOWS:
            return following, ""
        if interpreter in _PYTHONS and (module := re.fullmatch(r"-[A-Za-ln-z]*m(.*)", word)):
            return "", module[1] or following
        if not word.startswith(("-", "+")):
            return word, ""
        if word == "-" or re.fullmatch(rf"-[A-Za-z]*[{_CODE.get(interpreter, 'c')}]", word):
            return "", ""
        single = len(word) == 2 and word[1] in _WITH_VALUE.get(interpreter, "")
        if left and (word in _LONG_WITH_VALUE or single):
            left.pop(0)
    return "", ""


def _module_files(module: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the files that a module may be. The first folder that Python searches is its own."""
    if not module:
        return
    name = module.replace(".", "/")
    for folder in (".", *filter(None, environment.get("PYTHONPATH", "").split(":"))):
        yield from (f"{folder}/{name}{end}" for end in ("/__main__.py", ".py", "/__init__.py"))


def _paths(arguments: Sequence[str]) -> Iterator[str]:
    """Yield what may be a path: an argument, an option's value, or what stands behind ``-I``."""
    for argument in arguments:
        if "/" not in argument or "\n" in argument:
            continue
        _, equals, value = argument.partition("=")
        text = value if equals and "/" in value else argument
        if text.startswith("-I"):
            text = text[2:]
        elif text.startswith("-"):
            text = text[text.index("/") :]
        yield from (part for part in text.split(":") if "/" in part)


def _words(arguments: Sequence[str]) -> Iterator[str]:
    """Yield what may name something in the working folder: a word, or what stands behind ``-I``."""
    for argument in arguments:
        if "/" in argument or "\n" in argument or argument in ("", "-", "--"):
            continue
        name, equals, value = argument.partition("=")
        if not argument.startswith("-"):
            yield argument
        elif equals:
            yield value
        elif name.startswith("-I"):
            yield name[2:]


def _environment_mentions(environment: Mapping[str, str]) -> Iterator[Mention]:
    for name, value in environment.items():
        if name in _NOT_CODE:
            continue
        is_list = names_folders(name)
        for part in _SEPARATORS.split(value):
            path = part.partition("/?")[0]  # Lua writes a question mark for the module's name
            if path and (is_list or "/" in path):
                yield Mention(path, "environment", is_list or path.startswith("/"))
