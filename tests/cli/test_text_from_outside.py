"""Text from outside acts on no terminal, and forges no line."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import msgspec
import pytest

import repoint
from repoint.device.store.records import HistoryEntry
from repoint.model.advisory import Advisory, Fix
from repoint.model.printable import one_line
from tests.attacks.mirror import ONLINE, Mirror
from tests.cli.command import repoint as command
from tests.hostile_texts import HOSTILE
from tests.places import MAPS_A_LIBRARY, Place
from tests.world import Vendor

HARMLESS = [
    "", "Größe.txt", "日本語", "עברית", "नमस्ते", "a\u0301", "a b", "a\u00a0b\u202fc\u3000d", "🙂\ufe0f",
    "[red]not red[/]", "100 %", "C:\\n", "a\\x1b",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_acts_on_a_terminal_is_shown_as_its_escape_sequence(name: str) -> None:
    text, shown = HOSTILE[name]
    assert one_line(text) == shown


@pytest.mark.parametrize("text", HARMLESS)
def test_text_of_any_language_stays_as_it_is(text: str) -> None:
    assert one_line(text) == text


def test_commands_print_only_through_the_filter() -> None:
    folder = Path(repoint.__file__).parent / "cli"
    for file in folder.rglob("*.py"):
        tree = ast.parse(file.read_text())
        used = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "repoint.cli.terminal"
            for alias in node.names
        }
        text = file.read_text()
        name = str(file.relative_to(folder))
        assert "print" not in used or "print" in imported, f"{name}: import print from terminal"
        if name != "terminal.py":
            for wrong in ("typer.echo", "typer.secho", "typer.confirm", "stdout.write",
                          "stderr.write"):  # fmt: skip
                assert wrong not in text, f"{name}: use repoint.cli.terminal instead of {wrong}"


@pytest.mark.slow
def test_only_commands_print() -> None:
    folder = Path(repoint.__file__).parent
    simulation = folder / "fleet/simulation/__main__.py"  # a command that reads nothing
    for file in folder.rglob("*.py"):
        if "cli" not in file.relative_to(folder).parts and file != simulation:
            for node in ast.walk(ast.parse(file.read_text())):
                assert not (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id == "print"
                ), file


EVIL = "ok\x1b[1A\x1b[2K\x1b]0;own\x07\x9b2J\u202egnp.exe\u200b\n  in force   99\r[red]x[/]"


def assert_harmless(output: str) -> None:
    left = output.replace("\n", "")
    assert left == one_line(left), left
    assert not any(line.startswith("  in force   99") for line in output.splitlines())


COMMANDS = ["status", "status --json", "check", "check --json", "history", "history --json",
            "motd", "install", "install --yes", "settings automatic", "agent run-once",
            "policy", "remove", "restart --yes", "unenroll"]  # fmt: skip


@pytest.mark.slow
def test_no_command_lets_a_vendors_text_act_on_the_terminal(place: Place, vendor: Vendor) -> None:
    place.enroll()
    fix = Fix(("CVE-2026-1000",), "engine", impact="[red]x[/]", description="[red]x[/]")
    vendor.release(texts=Advisory(title="[red]x[/]", fixes=(fix,)))
    assert_commands_are_harmless(place, "status", "check", "status", "motd")
    place.update()
    # A thief of the catalog's key is not bound to what Repoint's own commands accept.
    mirror = Mirror(vendor, place.folder / "mirror", ONLINE)
    catalog = mirror.catalog()
    offer = msgspec.structs.replace(catalog.offers[0], state="withdrawn", reason=EVIL)
    mirror.offer(msgspec.structs.replace(catalog, offers=(offer,)))
    mirror.lead_to("acme-kiosk.catalog")
    place.server.folder = mirror.folder
    place.device.check(None)
    assert_commands_are_harmless(place, "status", "motd")
    place.device.remove(None, why="[red]x[/]")
    # A history that an older version wrote.
    place.product.history.add(HistoryEntry(1, "removed", "26.3.1 (a)", why=EVIL))
    assert_commands_are_harmless(place, *COMMANDS)


@pytest.mark.slow
def test_the_name_of_a_process_acts_on_no_terminal(place: Place, vendor: Vendor) -> None:
    place.enroll()
    name = "\x1b[1A\x1b[2K\r\nOK\u202e"
    rename = f"import ctypes; ctypes.CDLL(None).prctl(15, {name.encode()!r})\n"
    place.run(rename + MAPS_A_LIBRARY, launched=False)
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    shown = command("status", "--store", str(place.folder / "store"))
    assert "\\x1b[1A" in shown.out
    assert_commands_are_harmless(place, "status", "status --json", "restart --yes")


def assert_commands_are_harmless(place: Place, *commands: str) -> None:
    for arguments in commands:
        answer = command(*arguments.split(), "--store", str(place.folder / "store"))
        assert_harmless(answer.out)
        assert_harmless(answer.err)
        assert "Traceback" not in answer.err
        if arguments == "history" and "removed" in answer.out:
            assert "\\x1b[1A" in answer.out
            assert "[red]x[/]" in answer.out
        if arguments.endswith("--json"):
            json.loads(answer.out)


def test_names_of_files_act_on_no_terminal_when_an_enrolment_is_refused(place: Place) -> None:
    (place.graft / "x\x1b[2J\x1b]0;own\x07\n\u202e\udcff").write_text("")
    root = place.folder / "root.json"
    root.write_bytes(place.vendor.root)
    answer = command("enroll", place.server.url, "--product", "acme-kiosk", "--root", root,
                     "--graft", f"engine={place.graft}", "--store", place.folder / "store")  # fmt: skip
    assert answer.status == 1
    assert_harmless(answer.err)
    assert "x\\x1b[2J" in answer.err


def test_a_patchs_file_names_are_neither_markup_nor_control_sequences(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, text in ((old, "one"), (new, "two")):
        folder.mkdir()
        (folder / "[red]name[b]\u202e :smile:").write_text(text * 1000)
    patch = tmp_path / "patch"
    made = command("delta", "diff", old, new, patch)
    assert_harmless(made.out + made.err)
    shown = command("delta", "explain", patch, env={"COLUMNS": "200"})
    assert "[red]name[b]\\u202e :smile:" in shown.out
