"""Make man pages and shell completion from the commands' own help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from repoint import __version__
from repoint.cli.app import command_tree


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every visible command with the words that lead to it, groups before their members."""
    yield path, command
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        if not inner.hidden:
            yield from commands(inner, (*path, name))


def man_page(path: tuple[str, ...], command: Any, date: str) -> str:
    """Return one page in the language of man(7)."""
    name = "-".join(("repoint", *path))
    words = " ".join(("repoint", *path))
    help_ = (command.help or "").strip()
    short = re.split(r"(?<=\.)\s", help_, maxsplit=1)[0].rstrip(".")
    short = short[:1].lower() + short[1:]
    lines = [
        f'.TH "{name.upper()}" "1" "{date}" "repoint {__version__}" "Repoint"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(short)}",
        ".SH SYNOPSIS",
        f".B {_text(words)}",
        _text(usage(command)),
        ".SH DESCRIPTION",
        *_paragraphs(help_),
    ]
    options = [p for p in command.params if not getattr(p, "hidden", False)]
    if options:
        lines.append(".SH OPTIONS")
    for option in options:
        lines += [".TP", f".B {_text(option_names(option))}", _text(_help(option))]
    inner = [(n, c) for n, c in sorted(getattr(command, "commands", {}).items()) if not c.hidden]
    if inner:
        lines.append(".SH COMMANDS")
    for word, each in inner:
        first = (each.help or "").strip().split("\n")[0]
        lines += [".TP", f".B {_text(word)}", _text(first)]
    lines += [
        ".SH EXIT STATUS",
        "0 on success, 1 if the command failed or was stopped, 2 for wrong usage.",
        ".SH SEE ALSO",
        ".BR repoint (1)",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def completion(everything: list[tuple[tuple[str, ...], Any]]) -> str:
    """Return completion for bash: commands and options by the words before them, then files."""
    cases = []
    for path, command in everything:
        words = list(getattr(command, "commands", {}))
        words += [o for p in command.params for o in (*p.opts, *p.secondary_opts) if o[:1] == "-"]
        cases.append(f'    "{" ".join(path)}") words="{" ".join(sorted({*words, "--help"}))}" ;;')
    known = " ".join(f'"{" ".join(path)}"' for path, _ in everything if path)
    return f"""# bash completion for repoint; made from its own help
_repoint() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" path="" word words known
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        [[ "$word" == -* ]] && continue
        for known in {known}; do
            [[ "$known" == "${{path:+$path }}$word" ]] && path="$known"
        done
    done
    case "$path" in
{chr(10).join(cases)}
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o default -F _repoint repoint
"""


def usage(command: Any) -> str:
    """Return what follows a command's name in its synopsis."""
    arguments = [argument_name(p) for p in command.params if p.param_type_name == "argument"]
    inner = ["COMMAND"] if getattr(command, "commands", None) else []
    return " ".join(["[OPTIONS]", *arguments, *inner])


def argument_name(argument: Any) -> str:
    """Return how the synopsis shows a positional argument."""
    name = (argument.metavar or argument.name).upper().removesuffix("...")
    name += "..." if argument.nargs == -1 else ""
    return name if argument.required else f"[{name}]"


def option_names(option: Any) -> str:
    """Return an option's names with its value, or the name of a positional argument."""
    if option.param_type_name == "argument":
        return argument_name(option)
    value = "" if option.is_flag else f" {option.name.upper()}"
    return ", ".join((*option.opts, *option.secondary_opts)) + value


def environment_variable(option: Any) -> str | None:
    """Return the environment variable that sets an option, or None."""
    variable = getattr(option, "envvar", None)
    return variable if isinstance(variable, str) else None


def _help(option: Any) -> str:
    text = getattr(option, "help", None) or ""
    variable = environment_variable(option)
    return text + (
        f" The environment variable {variable} sets the same option." if variable else ""
    )


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines += [".PP", _text(" ".join(paragraph.split()))]
    return lines[1:]


def _text(text: str) -> str:
    """Escape text for groff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "\\&...")
    return "\\&" + text if text[:1] in ".'" else text


def main() -> None:
    """Write all pages and the completion into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--date", required=True, help="as in 2026-11-25")
    arguments = parser.parse_args()
    everything = list(commands(command_tree()))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for path, command in everything:
        name = "-".join(("repoint", *path))
        page = man_page(path, command, arguments.date)
        (arguments.folder / f"{name}.1").write_text(page)
    # bash-completion finds the file by the name of the command that it completes.
    (arguments.folder / "completions").mkdir(exist_ok=True)
    (arguments.folder / "completions/repoint").write_text(completion(everything))


if __name__ == "__main__":
    main()
