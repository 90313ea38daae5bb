"""Wrong usage: one line that says what is wrong and where to look, and status 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import everything, misuse, repoint

ADD = ("baseline", "add", "kiosk", "--version", "1.0", "--build", "1")
ENROLL = ("enroll", "http://localhost", "--product", "kiosk", "--root", "root.json")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("frobnicate",), "No such command 'frobnicate'. See `repoint --help`"),
        (("install", "--frobnicate"),
         "No such option: --frobnicate. See `repoint install --help`"),
        (("withdraw", "kiosk", "1.0 (a)"), "Missing option '--reason'"),
        (("baseline", "add"), "See `repoint baseline add --help`"),
        (("seal", "one", "two"), "two"),
        (("install", "--product"), "--product"),
        (("serve", "--port", "99999"), "--port"),
        (("serve", "--port", "http"), "--port"),
        (("settings", "automatic", "maybe"), "repoint settings automatic on"),
        (("settings", "colour", "on"), "repoint settings automatic on"),
        ((*ADD, "--component", "engine"),
         "Invalid value for --component: 'engine' is not of the form NAME=VALUE"),
        ((*ADD, "--component", "engine="), "is not of the form NAME=VALUE"),
        ((*ADD, "--component", "=a", "--component", "b=c"), "is not of the form NAME=VALUE"),
        ((*ADD, "--component", "a=b", "--component", "a=c"), "a is named twice"),
        ((*ADD, "--component", "a=b", "--restart", "b=app"), "there is no --component b"),
        ((*ADD, "--component", "a=b", "--restart", "a=soon"), "'soon' is not a restart scope"),
        ((*ADD, "--component", "a=b", "--ignore", "a"), "--ignore: 'a' is not of the form"),
        ((*ADD, "--component", "a=b", "--health", "a=say 'hi"),
         "--health: \"say 'hi\" has a quotation mark that is not closed"),
        ((*ENROLL, "--graft", "/srv/app"), "'/srv/app' is not of the form NAME=VALUE"),
        ((*ENROLL, "--graft", "a=/srv", "--program", "b=run"), "there is no --graft b"),
        ((*ENROLL, "--graft", "a=/srv", "--program", "a=run '"), "quotation mark"),
        (("repository", "init", "here", "--signer", "root=hsm:1"), "--public-key belong together"),
    ],
)  # fmt: skip
def test_wrong_usage_is_reported_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    misuse(repoint(*arguments, cwd=tmp_path), said)
    assert everything(tmp_path) == {}


@pytest.mark.parametrize("arguments", [(), ("baseline",), ("delta",)])
def test_without_a_command_the_help_is_shown(arguments: tuple[str, ...]) -> None:
    answer = repoint(*arguments)
    assert answer.status == 2
    assert answer.err == ""
    assert "Commands" in answer.out or "For devices" in answer.out


def test_help_and_version_are_not_errors() -> None:
    for option in ("--help", "--version"):
        answer = repoint(option)
        assert (answer.status, answer.err) == (0, "")
        assert answer.out
