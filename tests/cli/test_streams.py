"""What a command is started with: streams, locale, arguments, environment, folder."""

from __future__ import annotations

import codecs
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoint.device.fetch.client import read_root
from repoint.publisher.advisory_file import read_advisory
from repoint.repository.settings import RepositorySettings
from tests.cli.command import COMMAND, environment, repoint
from tests.places import Place, enrolled_place
from tests.world import Vendor


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with a letter in force and another one available, for commands that change nothing."""
    folder = tmp_path_factory.mktemp("streams")
    place = enrolled_place(folder)
    place.vendor.release()
    place.update()
    yield place.folder / "store"
    place.server.close()


PRINTING = ["status", "status --json", "check", "history", "history --json", "policy", "--help",
            "--version", "settings --help", "agent", "motd --help", "show --help"]  # fmt: skip


def run(*arguments: str, store: Path, **how: object) -> subprocess.CompletedProcess[bytes]:
    options: dict[str, object] = {
        "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
        "timeout": 60, "env": environment(REPOINT_STORE=str(store)), "check": False,
    }  # fmt: skip
    return subprocess.run([*COMMAND, *arguments], **{**options, **how})  # type: ignore[call-overload,no-any-return]


def one_line_of(answer: subprocess.CompletedProcess[bytes]) -> str:
    text = answer.stderr.decode()
    assert text.count("\n") == 1, text
    assert text.startswith("repoint: "), text
    return text


def closing(*numbers: int) -> Callable[[], None]:
    def close() -> None:
        for number in numbers:
            os.close(number)

    return close


@pytest.mark.parametrize("arguments", PRINTING)
def test_a_full_disk_behind_the_output_is_one_line_and_a_failure(
    store: Path, arguments: str
) -> None:
    with open("/dev/full", "wb") as full:
        answer = run(*arguments.split(), store=store, stdout=full)
    if arguments == "agent":  # no command: wrong usage
        assert answer.returncode == 2
        return
    assert answer.returncode == 1
    assert "cannot be written: No space left on device" in one_line_of(answer)


@pytest.mark.parametrize("arguments", ["status", "status --json", "--help", "--version"])
def test_a_closed_output_is_one_line_and_a_failure(store: Path, arguments: str) -> None:
    answer = run(*arguments.split(), store=store, preexec_fn=closing(1))
    assert answer.returncode == 1
    assert "cannot be written: Bad file descriptor" in one_line_of(answer)


@pytest.mark.parametrize("arguments", ["status", "status --json", "nonsense", "check"])
@pytest.mark.parametrize("closed", [(2,), (0,), (0, 2)])
def test_closed_streams_that_are_not_needed_change_nothing(
    store: Path, arguments: str, closed: tuple[int, ...]
) -> None:
    usual = run(*arguments.split(), store=store)
    answer = run(*arguments.split(), store=store, preexec_fn=closing(*closed))
    assert answer.returncode == usual.returncode
    assert len(answer.stdout.splitlines()) == len(usual.stdout.splitlines())
    if 2 not in closed:
        assert answer.stderr == usual.stderr


def test_everything_closed_is_a_failure_without_a_crash(store: Path) -> None:
    assert run("status", store=store, preexec_fn=closing(0, 1, 2)).returncode == 1


@pytest.mark.parametrize("arguments", ["status", "history", "--help", "status --json"])
def test_a_reader_that_has_gone_is_a_quiet_failure(store: Path, arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    answer = run(*arguments.split(), store=store, stdout=writer)
    os.close(writer)
    assert (answer.returncode, answer.stderr) == (1, b"")


@pytest.mark.one_quick
@pytest.mark.parametrize(
    "arguments", [["install"], ["restart"], ["remove"], ["settings", "passcode"], ["unenroll"]]
)
def test_a_closed_input_is_no_crash(place: Place, vendor: Vendor, arguments: list[str]) -> None:
    place.enroll()
    vendor.release()
    answer = run(*arguments, store=place.folder / "store", preexec_fn=closing(0))
    assert answer.returncode in (0, 1)
    assert answer.stderr.count(b"\n") <= 1, answer.stderr
    assert b"Traceback" not in answer.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict", "cp437", "utf-16"])
@pytest.mark.parametrize("arguments", ["status", "status --json", "history", "nö"])
def test_output_never_fails_on_a_character(store: Path, arguments: str, encoding: str) -> None:
    variables = environment(REPOINT_STORE=str(store), PYTHONIOENCODING=encoding, LC_ALL="C.UTF-8")
    answer = run(*arguments.split(), store=store, env=variables)
    assert answer.returncode == (2 if arguments == "nö" else 0)
    assert b"Traceback" not in answer.stderr
    if arguments.endswith("--json"):
        assert json.loads(answer.stdout.decode(encoding.partition(":")[0]))


LOCALES = [
    {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"LC_ALL": "C", "PYTHONUTF8": "0"},
    {"LC_ALL": "no_SUCH.locale", "PYTHONUTF8": "0"},
    {"LANG": "", "LC_ALL": "", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("locale", LOCALES)
def test_names_are_utf8_whatever_the_locale_says(tmp_path: Path, locale: dict[str, str]) -> None:
    folder = tmp_path / "Größe"
    folder.mkdir()
    (folder / "日本.txt").write_text("1")
    seal = repoint("seal", folder, env={"LC_ALL": "C.UTF-8"}).out
    other = run("seal", str(folder), "--json", store=tmp_path, env=environment(**locale))
    assert other.stderr == b""
    assert json.loads(other.stdout)["seal"] == seal.strip()
    assert [entry["path"] for entry in json.loads(other.stdout)["entries"]] == ["日本.txt"]


@pytest.mark.parametrize("arguments", [
    ["remove", "--reason", b"bad\xff"], ["withdraw", "p", "a", "--reason", b"bad\xff"],
    ["status", "--store", b"/tmp/\xff"], ["status", b"\xff"], [b"\xff"], ["status", "-p", b"\xed\xa0\x80"],
    ["settings", b"\xff", "on"], ["seal", b"/tmp/\xe9"],
])  # fmt: skip
def test_an_argument_that_is_not_utf8_is_wrong_usage(
    tmp_path: Path, arguments: list[str | bytes]
) -> None:
    answer = subprocess.run(
        [os.fsencode(word) for word in (*COMMAND, *arguments)],
        capture_output=True, env=environment(REPOINT_STORE=str(tmp_path)), check=False,
    )  # fmt: skip
    assert answer.returncode == 2
    assert "is not valid UTF-8" in one_line_of(answer)


def test_a_name_that_is_not_utf8_is_one_line(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("")
    answer = run("seal", str(tmp_path), store=tmp_path)
    assert answer.returncode == 1
    assert "is not valid UTF-8" in one_line_of(answer)


@pytest.mark.parametrize("arguments", ["status", "check", "history", "policy", "launch true"])
def test_an_empty_environment_is_enough(store: Path, arguments: str) -> None:
    answer = run(*arguments.split(), store=store, env={"REPOINT_STORE": str(store)})
    assert (answer.returncode, answer.stderr) == (0, b"")


def test_without_any_variable_the_default_store_is_used() -> None:
    answer = run("status", store=Path(), env={})
    assert answer.returncode in (0, 1)
    assert b"Traceback" not in answer.stderr


@pytest.mark.parametrize("arguments", ["status", "check", "history", "policy", "launch true",
                                       "settings automatic", "install --yes"])  # fmt: skip
def test_a_folder_that_was_deleted_is_good_enough(
    tmp_path: Path, store: Path, arguments: str
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    def delete() -> None:
        os.chdir(gone)
        gone.rmdir()

    # The interpreter itself looks at the folder for `-m`, so run the installed command.
    program = str(Path(sys.executable).with_name("repoint"))
    answer = subprocess.run(
        [program, *arguments.split()], capture_output=True, preexec_fn=delete,
        env=environment(REPOINT_STORE=str(store)), check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert b"Traceback" not in answer.stderr


ADVISORY = """title = "t"\n[[fix]]\ncves = ["CVE-2026-1000"]\ncomponent = "app"
impact = "Größe"\ndescription = "d"\n"""


@pytest.mark.parametrize("lines", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_files_of_windows_editors_are_read(
    tmp_path: Path, place: Place, mark: bytes, lines: str
) -> None:
    advisory = tmp_path / "advisory.toml"
    advisory.write_bytes(mark + ADVISORY.replace("\n", lines).encode())
    assert read_advisory(advisory, ["app"]).fixes[0].impact == "Größe"
    root = tmp_path / "root.json"
    root.write_bytes(mark + place.vendor.root.replace(b"\n", lines.encode()))
    assert read_root(root)
    settings = place.vendor.folder / "repository/repository.toml"
    settings.write_bytes(mark + settings.read_bytes().replace(b"\n", lines.encode()))
    assert RepositorySettings.read(settings.parent)
