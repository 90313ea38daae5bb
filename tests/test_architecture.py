"""The pictures of docs/architecture.md show the imports, all of them and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import repoint

SOURCE = Path(repoint.__file__).parent
PAGE = Path(__file__).parents[1] / "docs/architecture.md"

Arrows = dict[str, set[str]]


def imported_modules(file: Path) -> Iterator[str]:
    """Yield the modules of Repoint that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            # `from repoint.host import sysext` imports a module too.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(parts: tuple[str, ...]) -> str:
    """Return the folder that a module lies in; a file in the package itself is its own room."""
    return parts[0]


def imports_between_rooms(package: str) -> Arrows:
    """Return, for each room of a package, the other rooms of it that its files import."""
    folder = SOURCE.joinpath(*package.split(".")[1:])
    rooms = {path.stem for path in folder.iterdir() if path.is_dir() or path.suffix == ".py"}
    arrows: Arrows = {room: set() for room in rooms - {"__init__", "__main__", "__pycache__"}}
    for file in folder.rglob("*.py"):
        source = room_of(file.relative_to(folder).with_suffix("").parts)
        if source not in arrows:
            continue
        for module in imported_modules(file):
            if module.startswith(f"{package}."):
                target = room_of(tuple(module.removeprefix(f"{package}.").split(".")))
                if target in arrows and target != source:
                    arrows[source].add(target)
    return arrows


def picture_under(heading: str) -> list[tuple[str, set[str]]]:
    """Return the rows of the first table under a heading: a room, and the rooms it imports."""
    section = PAGE.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = section[section.index("\n|") + 1 :].split("\n\n", 1)[0]
    lines = table.splitlines()
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    columns = rows[0][1:]
    return [
        (row[0], {room for room, mark in zip(columns, row[1:], strict=True) if mark == "●"})
        for row in rows[2:]
        if re.fullmatch(r"\w+", row[0])
    ]


PICTURES = [("repoint", "The rooms"), ("repoint.device", "Rooms in `device`")]


@pytest.mark.one_quick
@pytest.mark.parametrize(("package", "heading"), PICTURES)
def test_the_picture_shows_every_import_between_rooms_and_no_other(
    package: str, heading: str
) -> None:
    drawn = dict(picture_under(heading))
    imports = imports_between_rooms(package)
    missing = {room: wrong for room in imports if (wrong := imports[room] - drawn.get(room, set()))}
    extra = {room: wrong for room in drawn if (wrong := drawn[room] - imports.get(room, set()))}
    assert (missing, extra) == ({}, {}), f"mend the table under {heading!r} in {PAGE.name}"
    assert drawn.keys() == imports.keys()


@pytest.mark.parametrize(("package", "heading"), PICTURES)
def test_every_room_imports_only_rooms_above_it_in_the_picture(package: str, heading: str) -> None:
    above: set[str] = set()
    for room, imported in picture_under(heading):
        assert imported <= above, f"{room} imports {imported - above}, which stand below it"
        above.add(room)
