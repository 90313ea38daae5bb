"""Every program that Repoint starts: where it is started, with what, and who decides about it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import repoint
from repoint.delta.sandbox.process import python_command, python_environment
from repoint.host.interpreter import isolation, module_command
from repoint.host.run import SYSTEM_PATH, clean_environment, find_program, run
from tests.cli.command import environment

SOURCE = Path(repoint.__file__).parent

ALLOWED = {
    "host/run.py": {"subprocess.run", "subprocess.Popen"},
    # The confined decoder and the workers of the encoder, which know no host.
    "delta/sandbox/child.py": {"subprocess.Popen"},
    "delta/encoding.py": {"subprocess.Popen"},
    # The mail command of the guard, which knows no host.
    "fleet/guard/notifications.py": {"subprocess.run"},
    # These become another program: that of the person, and the command itself in UTF-8 mode.
    "device/activate/launch.py": {"os.execve"},
    "cli/terminal.py": {"os.execv"},
}
STARTS = ("os.exec", "os.spawn", "os.posix_spawn", "os.system", "os.popen", "os.fork", "os.startfile",
          "subprocess.", "pty.", "multiprocessing.", "asyncio.create_subprocess", "webbrowser.")  # fmt: skip
# Threads, and what is done by an executor that is handed in.
THREADS = {"ThreadPoolExecutor", "Executor", "Future", "wait"}
NOT_STARTS = ("subprocess.PIPE", "subprocess.DEVNULL", "subprocess.STDOUT", "subprocess.TimeoutExpired",
              "subprocess.SubprocessError")  # fmt: skip


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_programs_are_started_in_few_places() -> None:
    for file in SOURCE.rglob("*.py"):
        name = str(file.relative_to(SOURCE))
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in (
                "subprocess", "multiprocessing", "concurrent.futures", "pty", "webbrowser",
            ):  # fmt: skip
                wrong = {alias.name for alias in node.names} - THREADS
                assert not wrong, f"{name} imports {wrong} from {node.module}"
            if isinstance(node, ast.Attribute):
                used = dotted(node)
                if used.startswith(STARTS) and not used.startswith(NOT_STARTS):
                    assert used in ALLOWED.get(name, ()), f"{name} uses {used}"


def test_a_process_of_ours_names_its_environment_and_its_folder() -> None:
    for name in (
        "host/run.py",
        "delta/sandbox/child.py",
        "delta/encoding.py",
        "fleet/guard/notifications.py",
    ):
        for node in ast.walk(ast.parse((SOURCE / name).read_text())):
            if isinstance(node, ast.Call) and dotted(node.func) in ALLOWED[name]:
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                assert "env" in given, name
                folder = given["cwd"]
                assert isinstance(folder, ast.Constant)
                assert folder.value == "/"


def test_commands_of_ours_run_in_an_isolated_interpreter() -> None:
    for command in (module_command("repoint"), python_command("repoint.delta.encoding")):
        assert command[:2] == (sys.executable, "-I") or list(command[:2]) == [sys.executable, "-I"]
        assert list(command)[command.index("-X") : command.index("-X") + 2] == ["-X", "utf8"]
    assert isolation() == ("-I", "-X", "utf8")


@pytest.mark.slow
def test_no_unit_and_no_command_line_is_written_with_a_bare_m() -> None:
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and node.value == "-m":
                allowed = ("host/interpreter.py", "agent/units/unit_files.py",
                           "agent/units/installation.py", "page/views/programs.py")  # fmt: skip
                assert str(file.relative_to(SOURCE)) in allowed, file


HOSTILE = {
    "LD_PRELOAD": "/nowhere/evil.so", "LD_LIBRARY_PATH": "/nowhere", "LD_AUDIT": "/nowhere/evil.so",
    "PYTHONPATH": "/nowhere", "PYTHONHOME": "", "PYTHONSTARTUP": "/nowhere", "PYTHONINSPECT": "",
    "BASH_ENV": "/nowhere", "ENV": "/nowhere", "IFS": "/", "PERL5OPT": "-Mevil", "RUBYOPT": "-revil",
    "NODE_OPTIONS": "--require evil", "SYSTEMD_PAGER": "/nowhere", "BROWSER": "/nowhere",
    "GCONV_PATH": "/nowhere", "LOCPATH": "/nowhere", "LANGUAGE": "de", "LC_ALL": "de_DE.UTF-8",
    "TMPDIR": "/nowhere", "OPENSSL_CONF": "/nowhere", "SSL_CERT_FILE": "/nowhere", "TOKEN": "hunter2",
    "HOME": "/nowhere", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere", "SYSTEMCTL_FORCE_BUS": "yes",
    "XDG_RUNTIME_DIR": "/nowhere", "CDPATH": "/nowhere",
}  # fmt: skip
KEPT = {"PATH", "LANG", "HOME", "USER", "LOGNAME", "SHELL", "XDG_RUNTIME_DIR",
        "DBUS_SESSION_BUS_ADDRESS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_variable_of_the_caller_reaches_a_program(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("a person's own variables are that person's")
    monkeypatch.setenv(name, HOSTILE[name])
    for made in (clean_environment(), python_environment()):
        assert made.keys() <= KEPT
        assert not HOSTILE[name] or HOSTILE[name] not in made.values()
    shown = run(["env"], seconds=10).output
    assert {line.partition("=")[0] for line in shown.splitlines()} <= KEPT


def test_root_finds_programs_in_the_systems_folders_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("a person's own PATH is that person's")
    for name in ("true", "evil"):
        (tmp_path / name).write_text("#!/bin/sh\necho evil\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for path in (str(tmp_path), "", ".", f"{tmp_path}:/usr/bin"):
        monkeypatch.setenv("PATH", path)
        assert find_program("true") in [f"{folder}/true" for folder in SYSTEM_PATH.split(":")]
        assert find_program("evil") is None
        assert run(["true"], seconds=10).output == ""
        assert run(["evil"], seconds=10).failure == "not found"


def test_programs_run_in_the_root_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["pwd"], seconds=10).output == "/\n"


PLANTED = ["repoint/__init__.py", "repoint/page/__main__.py", "json.py", "site.py", "sitecustomize.py",
           "usercustomize.py", "msgspec.py", "encodings.py", "importlib.py", "starlette.py"]  # fmt: skip


def plant(folder: Path) -> Path:
    """Put modules into a folder that leave a mark when they are imported."""
    mark = folder / "imported"
    for name in PLANTED:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"open({str(mark)!r}, 'a').write({name!r})\n")
    return mark


@pytest.mark.one_quick
@pytest.mark.parametrize("module", ["repoint", "repoint.page"])
def test_our_programs_import_nothing_from_the_callers_folder(tmp_path: Path, module: str) -> None:
    mark = plant(tmp_path)
    done = subprocess.run(
        [*module_command(module), "--help"], cwd=tmp_path, check=False, capture_output=True,
        env=environment(PYTHONPATH=str(tmp_path), PYTHONSTARTUP=str(tmp_path / "json.py")),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not mark.exists()
