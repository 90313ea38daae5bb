"""The directive `{commands}`: a reference of every command, made from the commands' own help.

The man pages of the Debian package come from the same source (packaging/manual.py).
"""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from manual import argument_name, commands, environment_variable, option_names, usage
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from repoint.cli.app import command_tree


class Commands(SphinxDirective):
    """Insert one section for each command, groups before their members."""

    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        everything = commands(command_tree())
        return [self._section(path, command) for path, command in everything]

    def _section(self, path: tuple[str, ...], command: Any) -> nodes.section:
        name = " ".join(("repoint", *path))
        section = nodes.section(ids=[name.replace(" ", "-")])
        section += nodes.title(name, name)
        self.state.document.note_explicit_target(section)
        section += nodes.literal_block("", f"{name} {usage(command)}", language="text")
        for paragraph in (command.help or "").split("\n\n"):
            text = " ".join(paragraph.split())
            section += nodes.paragraph(text, text)
        if members := sorted(getattr(command, "commands", {}).items()):
            section += self._members(path, members)
        options = [o for o in command.params if not getattr(o, "hidden", False)]
        if options:
            section += self._options(options)
        return section

    def _members(self, path: tuple[str, ...], members: list[tuple[str, Any]]) -> nodes.Node:
        entries = nodes.bullet_list()
        for word, member in members:
            if member.hidden:
                continue
            name = " ".join(("repoint", *path, word))
            link = nodes.reference("", "", internal=True, refid=name.replace(" ", "-"))
            link += nodes.literal(name, name)
            first = (member.help or "").strip().split("\n")[0]
            entry = nodes.paragraph("", "", link, nodes.Text(f": {first}"))
            entries += nodes.list_item("", entry)
        return entries

    def _options(self, options: list[Any]) -> nodes.Node:
        entries = nodes.definition_list()
        for option in options:
            positional = option.param_type_name == "argument"
            name = argument_name(option) if positional else option_names(option)
            text = getattr(option, "help", None) or ""
            definition = nodes.definition("", nodes.paragraph(text, text))
            if variable := environment_variable(option):
                note = nodes.paragraph("", "Environment variable: ")
                note += nodes.literal(variable, variable)
                definition += note
            term = nodes.term("", "", nodes.literal(name, name))
            entries += nodes.definition_list_item("", term, definition)
        return entries


def setup(application: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    application.add_directive("commands", Commands)
    return {"version": "1", "parallel_read_safe": True}
