"""The launcher resolves what is a path, and nothing else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from repoint.device.activate.launch import become, prepare_launch
from repoint.device.errors import NotEnrolledError
from tests.places import Place, enrolled_place


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("launched")
    place = enrolled_place(folder)
    place.server.close()
    for name in ("C.UTF-8", "xterm", "1", "fast", "plain"):
        place.graft.joinpath(name).write_text("")
    return place


@pytest.fixture
def enrolled(shared: Place) -> Iterator[Place]:
    before = Path.cwd()
    yield shared
    os.chdir(before)


def resolved(place: Place, *arguments: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    launch = prepare_launch(str(place.folder / "store"), ["/bin/sh", *arguments], variables)
    for descriptor in launch.held:
        os.close(descriptor)
    return launch.arguments[1:], launch.environment


def tree(place: Place) -> str:
    return str(place.graft.resolve())


UNTOUCHED = [
    "C.UTF-8", "xterm", "1", "fast", "main.py", "engine", "app/engine", "", ".", "..",
    "lib", "a:b", "a/b", "--mode=fast", "--n=1", "-", "--", "-f", ":0", "/", "//",
    "/nowhere/engine", "a=b", "~/engine", ".hidden", "..twice", "...", "http://host/app/engine",
]  # fmt: skip


@pytest.mark.parametrize("folder", ["app/engine", "app", "/"])
@pytest.mark.parametrize("text", UNTOUCHED)
def test_what_is_not_written_as_a_path_stays(enrolled: Place, folder: str, text: str) -> None:
    os.chdir(enrolled.folder / folder)
    arguments, environment = resolved(enrolled, text, LANG=text)
    assert arguments == [text]
    assert environment["LANG"] == text


RESOLVED = {
    "{graft}": "{tree}",
    "{graft}/": "{tree}",
    "{graft}/main.py": "{tree}/main.py",
    "{graft}/not/there": "{tree}/not/there",
    "{graft}/../engine/main.py": "{tree}/main.py",
    "/usr:{graft}/lib:/bin": "/usr:{tree}/lib:/bin",
    "{graft}:{graft}/lib": "{tree}:{tree}/lib",
    ":{graft}:": ":{tree}:",
    "{other}/main.py": "{tree}/main.py",
    "{graft}-other/main.py": "{graft}-other/main.py",
}


@pytest.mark.parametrize("text", RESOLVED)
def test_absolute_paths_are_resolved(enrolled: Place, tmp_path: Path, text: str) -> None:
    other = tmp_path / "other"
    other.symlink_to(enrolled.graft)
    names = {"graft": str(enrolled.graft), "other": str(other)}
    given, wanted = text.format(**names), RESOLVED[text].format(**names, tree=tree(enrolled))
    arguments, environment = resolved(enrolled, given, f"--option={given}", VALUE=given)
    assert arguments == [wanted, f"--option={wanted}"]
    assert environment["VALUE"] == wanted


@pytest.mark.parametrize(
    ("folder", "text", "wanted"),
    [("", "./main.py", "{tree}/main.py"), ("lib", "../main.py", "{tree}/main.py"),
     ("..", "./engine/main.py", "{tree}/main.py"), ("..", "./other", "./other"),
     ("", "--file=./main.py", "--file={tree}/main.py"), ("", "./", "{tree}"),
     ("", "lib/engine.so", "{tree}/lib/engine.so"), ("..", "engine/main.py", "{tree}/main.py"),
     ("..", "--lib=engine/lib/engine.so", "--lib={tree}/lib/engine.so"),
     ("..", "engine/nothing", "engine/nothing"), ("..", "x=engine/main.py", "x=engine/main.py"),
     ("../..", "app/engine/lib:app/engine", "{tree}/lib:{tree}")],
)  # fmt: skip
def test_arguments_that_are_written_as_relative_paths_are_resolved(
    enrolled: Place, folder: str, text: str, wanted: str
) -> None:
    go_to(enrolled, folder)
    arguments, environment = resolved(enrolled, text, VALUE=text)
    assert arguments == [wanted.format(tree=tree(enrolled))]
    assert environment["VALUE"] == text


VARIABLES = ["PYTHONPATH", "PERL5LIB", "RUBYLIB", "NODE_PATH", "CLASSPATH", "LD_LIBRARY_PATH",
             "APP_HOME", "PLUGIN_DIR", "PATH"]  # fmt: skip


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(
    ("folder", "text", "wanted"),
    [("..", "engine", "{tree}"), ("../..", "app/engine", "{tree}"), ("", "lib", "{tree}/lib"),
     ("lib", "..", "{tree}"), ("..", "./engine", "{tree}"), ("../..", "app/engine/lib:lib:/usr", "{tree}/lib:lib:/usr"),
     ("../..", ":app/engine:", ":{tree}:"), ("..", "other:engine-other", "other:engine-other"), ("..", "", "")],
)  # fmt: skip
def test_a_variable_that_lists_folders_is_resolved_from_the_working_folder(
    enrolled: Place, variable: str, folder: str, text: str, wanted: str
) -> None:
    go_to(enrolled, folder)
    _, environment = resolved(enrolled, **{variable: text})
    assert environment[variable] == wanted.format(tree=tree(enrolled))


def go_to(place: Place, folder: str) -> None:
    """Work in a folder of the component, or in one that holds it."""
    above = {"..": place.graft.parent, "../..": place.graft.parent.parent}
    os.chdir(above.get(folder, place.graft / folder))


def test_the_program_is_resolved_like_a_shell_does(enrolled: Place) -> None:
    os.chdir(enrolled.graft.parent)
    program = enrolled.graft / "main.py"
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    launch = prepare_launch(str(enrolled.folder / "store"), ["engine/main.py"], {})
    assert launch.program == launch.arguments[0] == f"{tree(enrolled)}/main.py"


def test_a_launch_works_in_a_folder_that_was_deleted(enrolled: Place) -> None:
    gone = enrolled.folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    given = ["x", "./x", "../x", f"{enrolled.graft}/main.py", "--a=./b"]
    arguments, environment = resolved(enrolled, *given, LANG="C", PWD=str(gone))
    assert arguments == ["x", "./x", "../x", f"{tree(enrolled)}/main.py", "--a=./b"]
    assert environment["PWD"] == str(gone)


@pytest.mark.parametrize(
    ("program", "message"),
    [("{graft}/plain", "plain is not executable. Check"), ("{graft}/lib", "lib is a folder, not a program"),
     ("{graft}", "is a folder, not a program"), ("nonexistent", "There is no program nonexistent"),
     ("{graft}/nothing", "There is no program"), ("", "There is no program"), (".", "There is no program"), ("./", "is a folder")],
)  # fmt: skip
def test_what_cannot_be_executed_is_refused_in_one_line(
    enrolled: Place, program: str, message: str
) -> None:
    name = program.format(graft=enrolled.graft)
    with pytest.raises(NotEnrolledError, match=message):
        prepare_launch(str(enrolled.folder / "store"), [name], {"PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"#!/nowhere/sh\n", "names an interpreter that does not exist"),
     (b"echo hello\n", "is not a program that this machine can run"),
     (b"\x7fELFbroken", "is not a program that this machine can run"),
     (b"", "is not a program that this machine can run")],
)  # fmt: skip
def test_what_the_kernel_cannot_execute_is_refused_in_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    script = tmp_path / "script"
    script.write_bytes(content)
    script.chmod(0o755)
    launch = prepare_launch(str(tmp_path / "store"), [str(script)], {})
    with pytest.raises(NotEnrolledError, match=message):
        become(launch)
