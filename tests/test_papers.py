"""The pages name files, modules and commands that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import repoint
from repoint.cli.app import command_tree

ROOT = Path(__file__).parents[1]
SOURCE = Path(repoint.__file__).parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tests/**/*.md")])
FOLDERS = ("benchmarks", "demo", "docs", "packaging", "requirements", "src", "tests")


def code_spans(page: Path) -> Iterator[str]:
    """Yield what a page sets in code type, outside of its examples."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", text)


def is_module(name: str) -> bool:
    """Return whether a dotted name is a module of Repoint, or a name in one."""
    path = SOURCE.joinpath(*name.split(".")[1:])
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    holder = path.parent / "__init__.py" if path.parent.is_dir() else path.parent.with_suffix(".py")
    return holder.is_file() and re.search(rf"\b{path.name}\b", holder.read_text()) is not None


def command_lines(page: Path) -> Iterator[str]:
    """Yield every command line of Repoint on a page, in its text and in its examples."""
    yield from (span for span in code_spans(page) if span not in NOT_COMMANDS)
    for example in re.findall(r"^```(?:sh|console)\n(.*?)^```", page.read_text(), re.M | re.S):
        yield from (line.removeprefix("$ ") for line in example.splitlines())


def commands(command: Any, words: tuple[str, ...] = ("repoint",)) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command."""
    yield words
    for name, member in getattr(command, "commands", {}).items():
        yield from commands(member, (*words, name))


COMMANDS = frozenset(commands(command_tree()))
GROUPS = frozenset(words[:-1] for words in COMMANDS)
NOT_COMMANDS = frozenset({"repoint image 1"})  # the identity of an image, see formats.md


def is_command(line: str) -> bool:
    """Return whether a line that begins with `repoint` names a command, or only the program."""
    words = tuple(word for word in line.split() if not word.startswith("-"))
    known: tuple[str, ...] = ("repoint",)
    for word in words[1:]:
        if (*known, word) not in COMMANDS:
            return known not in GROUPS or not re.fullmatch(r"[a-z-]+", word)
        known = (*known, word)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    spans = [span for span in code_spans(page) if re.match(rf"({'|'.join(FOLDERS)})/\S*$", span)]
    assert [span for span in spans if not list(ROOT.glob(span.rstrip("/")))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_that_a_page_names_exist(page: Path) -> None:
    spans = [span for span in code_spans(page) if re.fullmatch(r"repoint(\.\w+)+", span)]
    assert [span for span in spans if span != "repoint.toml" and not is_module(span)] == []


CURRENT = [page for page in PAGES if page.name != "CHANGELOG.md"]  # which names former commands


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_a_page_names_exist(page: Path) -> None:
    assert ("repoint", "status") in COMMANDS
    lines = [line for line in command_lines(page) if re.match(r"repoint( |$)", line)]
    assert [line for line in lines if not is_command(line)] == []


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_builders_that_the_page_on_tests_names_exist() -> None:
    rows = re.findall(
        r"^\| `(tests/\S+\.py)`: ((?:`\w+`(?:, )?)+) \|",
        (ROOT / "docs/testing.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) > 5
    for path, names in rows:
        source = (ROOT / path).read_text()
        for name in re.findall(r"\w+", names):
            assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE), f"{path}: {name}"


# `make docs` checks the links of the pages in docs/.
@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_links_of_the_pages_in_the_root_folder_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text()):
        name, _, anchor = link.partition("#")
        target = ROOT / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_public_name_is_in_the_reference() -> None:
    text = (ROOT / "docs/reference/api.md").read_text()
    documented = set(re.findall(r"^\.\. auto\w+:: repoint\.(\w+)$", text, re.MULTILINE))
    assert documented == set(repoint.__all__) - {"__version__"}


def test_every_record_of_a_decision_has_a_number_of_its_own() -> None:
    records = sorted(ROOT.glob("docs/decisions/0*.md"))
    numbers = [record.name[:4] for record in records]
    assert len(set(numbers)) == len(numbers)
    titles = [record.read_text().partition(":")[0] for record in records]
    assert titles == [f"# {number}" for number in numbers]
