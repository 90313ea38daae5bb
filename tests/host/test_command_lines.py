"""What an interpreter runs, by its arguments and its environment."""

from __future__ import annotations

import pytest

from repoint.host.kernel.command_lines import interpreter_name, read_command_line


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("/usr/bin/python3.11", "python"), ("/usr/bin/python3.13t", "python"),
        ("/opt/pypy3.10", "pypy"), ("/usr/bin/perl5.36.0", "perl"), ("/usr/bin/ruby3.1", "ruby"),
        ("/usr/bin/node", "node"), ("/usr/sbin/php-fpm8.2", "php-fpm"), ("/bin/dash", "dash"),
        ("/bin/busybox", "busybox"), ("/usr/bin/lua5.4", "lua"), ("/usr/lib/jvm/x/bin/java", "java"),
        ("/usr/bin/sleep", ""), ("/usr/bin/pythonista", ""), ("", ""),
    ],
)  # fmt: skip
def test_an_interpreter_is_known_by_the_name_of_its_file(program: str, name: str) -> None:
    assert interpreter_name(program) == name


@pytest.mark.parametrize(
    ("program", "arguments", "scripts"),
    [
        ("python3", "app.py --x", ["app.py"]),
        ("python3", "-B -u app.py", ["app.py"]),
        ("python3", "-W ignore -X dev app.py", ["app.py"]),
        ("python3", "-Wignore /srv/app.pyz run", ["/srv/app.pyz"]),
        ("python3", "-- -odd.py", ["-odd.py"]),
        ("python3", "-m web.server", ["./web/server/__main__.py", "./web/server.py",
                                      "./web/server/__init__.py"]),
        ("python3", "-Bm web", ["./web/__main__.py", "./web.py", "./web/__init__.py"]),
        ("python3", "-mweb", ["./web/__main__.py", "./web.py", "./web/__init__.py"]),
        ("python3", "-c text app.py", []),
        ("python3", "-Bc text app.py", []),
        ("python3", "- app.py", []),
        ("python3", "", []),
        ("perl", "-w -T app.pl", ["app.pl"]),
        ("perl", "-I/srv/lib -Mstrict app.pl", ["app.pl"]),
        ("perl", "-ne text app.pl", []),
        ("ruby", "-I lib -w app.rb", ["app.rb"]),
        ("ruby", "-e text", []),
        ("node", "--require /srv/hook.js app.js", ["app.js"]),
        ("node", "-r hook.js app.js", ["app.js"]),
        ("node", "-e text app.js", []),
        ("php", "-c /etc/php.ini -f app.php", ["app.php"]),
        ("php", "-r text", []),
        ("bash", "-e app.sh", ["app.sh"]),
        ("bash", "-o pipefail app.sh", ["app.sh"]),
        ("sh", "-c text", []),
        ("java", "-cp /srv/a.jar:/srv/b.jar -Xmx1g Main", ["Main"]),
        ("java", "-Xmx1g -jar /srv/app.jar", ["/srv/app.jar"]),
        ("lua", "-l lib app.lua", ["app.lua"]),
    ],
)  # fmt: skip
def test_the_script_or_module_is_found_behind_options(
    program: str, arguments: str, scripts: list[str]
) -> None:
    command = read_command_line(f"/usr/bin/{program}", [program, *arguments.split()], {})
    found = [mention.path for mention in command.mentions if mention.source == "script"]
    assert found == scripts


def test_a_module_is_searched_for_in_the_variable_too() -> None:
    command = read_command_line("python3", ["python3", "-m", "web"], {"PYTHONPATH": "/srv:/opt"})
    found = [mention.path for mention in command.mentions if mention.source == "script"]
    assert "/srv/web.py" in found
    assert "/opt/web/__main__.py" in found


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        (["perl", "-I/srv/lib", "/x/app.pl"], ["/srv/lib"]),
        (["python3", "/x/app.py", "--plugins=/srv/plugins"], ["/srv/plugins"]),
        (["python3", "/x/app.py", "sub/folder"], ["sub/folder"]),
        (["java", "-cp", "/srv/a.jar:/srv/b.jar", "Main"], ["/srv/a.jar", "/srv/b.jar"]),
        (
            ["perl", "-Ilib", "/x/app.pl", "word", "--name=value", "--flag"],
            ["lib", "word", "value"],
        ),
        (["/srv/venv/bin/python", "/x/app.py"], ["/srv/venv/bin"]),
        (["python3", "/x/app.py", "text\nwith/lines"], []),
    ],
)
def test_other_paths_in_the_arguments_are_mentioned(arguments: list[str], paths: list[str]) -> None:
    command = read_command_line(f"/usr/bin/{arguments[0].rpartition('/')[2]}", arguments, {})
    assert [m.path for m in command.mentions if m.source == "argument"] == paths


def test_variables_count_unless_they_name_folders_for_other_reasons() -> None:
    environment = {
        "APP_HOME": "/srv/app", "PERL5LIB": "/srv/lib:/srv/more", "PATH": "/srv/bin",
        "PWD": "/srv", "OLDPWD": "/srv", "LANG": "C", "RUBYLIB": "one:two", "LIB_DIR": "sub/lib",
        "LUA_PATH": "/lua/?.lua;/more/?/init.lua", "OTHER": "./rel",
    }  # fmt: skip
    command = read_command_line("/usr/bin/perl", ["perl", "x.pl"], environment)
    found = [mention.path for mention in command.mentions if mention.source == "environment"]
    assert found == [
        "/srv/app", "/srv/lib", "/srv/more", "one", "two", "sub/lib", "/lua", "/more", "./rel"
    ]  # fmt: skip
    other = read_command_line("/usr/bin/sleep", ["sleep", "/srv/x"], environment)
    assert [mention.source for mention in other.mentions] == ["argument"]


def test_a_shell_without_a_script_mentions_nothing() -> None:
    command = read_command_line("/bin/bash", ["bash", "-i"], {"APP_HOME": "/srv/app"})
    assert command.mentions == ()
    assert not command.reads_folder
    assert read_command_line("/usr/bin/python3", ["python3"], {}).reads_folder
