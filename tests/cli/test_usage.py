"""Wrong usage: one line that says what is wrong and where to look, and status 2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.command import everything, misuse, refusal, repoint
from tests.cli.conftest import write_advisory
from tests.world import FIXED, Vendor, write_tree

ADD = ("baseline", "add", "kiosk", "--version", "1.0", "--build", "1")
IMPROVE = ("improve", "acme-kiosk", "--version", "26.3.1", "--advisory", "advisory.toml")
WITHDRAW = ("withdraw", "acme-kiosk")
ENROLL = ("enroll", "http://localhost", "--product", "kiosk", "--root", "root.json")


def test_the_help_of_launch_shows_the_arguments_of_the_program() -> None:
    text = repoint("launch", "--help").out
    assert "ARGUMENTS..." in text.splitlines()[0]
    assert repoint("launch", "echo", "-n", "--help").out == "--help"


@pytest.mark.parametrize("group", ["agent", "baseline", "repository", "rollout", "system"])
def test_the_help_of_a_group_is_not_cut(group: str) -> None:
    text = repoint(group, "--help").out
    assert "Commands:" in text and "..." not in text.split("Commands:")[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
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
        (("settings", "automatic", "m" * 100_000), "repoint settings automatic on"),
        (("settings", "foo"), "'foo' is not a setting; the settings are automatic"),
        (("settings", ""), "'' is not a setting"),
        (("settings", "passcode", "1234"), "it asks for the new passcode"),
        (("settings", "automatic", "on", "off"), "unexpected extra argument"),
        (("seal", ""), "the path is empty"),
        (("show", "--repository", ""), "the path is empty"),
        (("status", "--store", ""), "the path is empty"),
        (("delta", "diff", "", "b", "c"), "the path is empty"),
        (("repository", "init", ""), "the path is empty"),
        (("improve", "kiosk", "--version", "1", "--component", "a=b", "--advisory", ""),
         "the path is empty"),
        (("improve", "kiosk", "--version", "1", "--component", "a=b", "--advisory", "c",
          "--rename-cve", "CVE-2023-4863"), "as in --rename-cve CVE-2023-4836=CVE-2023-4863"),
        (("baseline", "frobnicate"), "No such command 'frobnicate'; it has add, retire"),
        (("insatll",),
         "No such command 'insatll'. Did you mean 'install'? See `repoint --help`"),
        (("rollout", "strt"), "No such command 'strt'. Did you mean 'start'? It has start, show"),
        (("agent", "frobnicate"), "it has run-once, activate, tell, install, uninstall"),
        (("publish",), "Missing argument 'product'"),
        (("withdraw", "kiosk", "1.0 (a)", "1.0 (b)", "--reason", "x"), "unexpected extra argument"),
        (("settings", "colour", "on"), "repoint settings automatic on"),
        ((*ADD, "--component", "engine"),
         "Invalid value for --component: 'engine' is not of the form NAME=VALUE"),
        ((*ADD, "--component", "engine="), "is not of the form NAME=VALUE"),
        ((*ADD, "--component", "=a", "--component", "b=c"), "is not of the form NAME=VALUE"),
        ((*ADD, "--component", "a=b", "--component", "a=c"), "a is named twice"),
        ((*ADD, "--component", "a=b", "--restart", "b=app"), "there is no --component b"),
        ((*ADD, "--component", "a=b", "--restart", "a=soon"),
         "'soon' is not a restart scope; use one of none, app, service, session, system"),
        ((*ADD, "--component", "a=b", "--restart", "a"), "as in --restart pillow=service"),
        ((*ADD, "--component", "a=b", "--restart", "a="), "as in --restart pillow=service"),
        ((*ADD, "--component", "a=b", "--restart", "a=app", "--restart", "a=none"),
         "a is named twice"),
        ((*ADD, "--component", "x" * 100_000), "is not of the form NAME=VALUE, as in --component"),
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
    tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    misuse(repoint(*arguments, cwd=tmp_path), expected)
    assert everything(tmp_path) == {}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((*ADD, "--component", "a=b", "--platform", "windows"),
         "'windows' cannot name a platform. Write system and machine in lower case, as in linux-"),
        ((*ADD, "--component", "a=b", "--platform", ""), "'' cannot name a platform"),
        ((*ADD, "--component", "a=b", "--platform", "Linux-x86"), "cannot name a platform"),
        ((*ADD, "--component", "a=b", "--platform", "x" * 100_000), "cannot name a platform"),
        ((*ADD, "--component", "A=b"), "'A' cannot name a component"),
        ((*ADD, "--component", "a=b", "--name", "x" * 101), "name is longer than 100 characters"),
        ((*ADD, "--component", "a=b", "--vendor", "a\nb"), "vendor's name has more than one line"),
        ((*ADD, "--component", "a=b", "--contact", "\u202e"), "control character U+202E"),
        ((*ADD, "--component", "a=b", "--contact", "box"),
         "The contact is neither an https nor a mail address: 'box'. Write it as https://example"),
        ((*ADD, "--component", "a=nothing"), "nothing does not exist"),
        (("repository", "address", "https://updates.acme.example/security/index.html"),
         "is that of a file. Write that of the folder `public`"),
        (("baseline", "add", "", *ADD[3:], "--component", "a=b"), "'' cannot name a product"),
        (("improve", "shop", "--version", "1", "--component", "a=b", "--advisory", "c"),
         "no product 'shop'"),
        ((*IMPROVE, "--component", "nope=b"), "no component nope. Its components are: engine"),
        ((*IMPROVE, "--component", "engine=nope"), "nope does not exist"),
        ((*IMPROVE, "--component", "engine=fixed", "--letter", "1"), "is not a letter"),
        ((*IMPROVE, "--component", "engine=fixed", "--letter", "a"),
         "26.3.1 (a) is already used for 26.3.1 (25D2128) for linux-x86_64. The next free letter"),
        ((*IMPROVE, "--component", "engine=fixed", "--platform", "windows"),
         "has no baseline 26.3.1 for windows"),
        ((*IMPROVE, "--component", "engine=fixed", "--drop-fix", ""),
         "No earlier letter of this baseline fixes ''. They fix: CVE-2023-4863"),
        ((*IMPROVE, "--component", "engine=fixed", "--drop-fix", "CVE-2023-1111"),
         "No earlier letter of this baseline fixes 'CVE-2023-1111'"),
        ((*IMPROVE, "--component", "engine=fixed", "--rename-cve", "CVE-2023-4863=x"),
         "'x' is not a CVE id"),
        (("publish", "shop"), "no product 'shop'"),
        (("publish", "acme-kiosk"), "has no draft to publish"),
        (("publish", "acme-kiosk", "26.3.1 (z)"), "has no draft 26.3.1 (z)"),
        (("publish", "acme-kiosk", ""), "'' is not the label of an improvement. Write it as"),
        ((*WITHDRAW, "26.3.1 (z)", "--reason", "x"), "Published improvements: 26.3.1 (a)"),
        ((*WITHDRAW, "26.3.1 (a)", "--reason", "x", "--platform", "windows"),
         "26.3.1 (a) for windows. Published improvements: 26.3.1 (a) for linux-x86_64"),
        ((*WITHDRAW, "26.3.1", "--reason", "x"), "is not the label of an improvement"),
        ((*WITHDRAW, "(a)", "--reason", "x"), "is not the label of an improvement"),
        ((*WITHDRAW, "x" * 100_000, "--reason", "x"), "is not the label of an improvement"),
        ((*WITHDRAW, "26.3.1 (a)", "--reason", ""), "The reason is empty"),
        ((*WITHDRAW, "26.3.1 (a)", "--reason", " \t "), "The reason is empty"),
        ((*WITHDRAW, "26.3.1 (a)", "--reason", "x" * 100_000), "longer than 1,000 characters"),
        ((*WITHDRAW, "26.3.1 (a)", "--reason", "a\x1b[2J"), "control character U+001B"),
        (("show", "shop"), "no product 'shop'. Its products: acme-kiosk"),
        (("repository", "rotate", "shop"), "no role 'shop'. Its roles: root, "),
        (("serve", "--host", "8.8.8.8"), "'8.8.8.8', port 8750: it is not an address of this mach"),
        (("serve", "--host", ""), "The address to listen on is empty. Use 127.0.0.1"),
        (("serve", "--host", "a..b"), "Cannot listen on 'a..b'"),
        (("serve", "--host", "x" * 1000), "Cannot listen on 'xxx"),
        (("delta", "diff", "fixed", "nope", "patch"), "There is no nope"),
        (("delta", "diff", "pipe", "file", "patch"), "pipe is no file and no folder"),
        (("delta", "diff", "dangling", "file", "patch"), "There is no dangling"),
        (("delta", "diff", "file", "other", "nope/patch"), "nope. Name a path in a folder that"),
        (("delta", "apply", "file", "pipe", "new"), "There is no patch pipe"),
        (("delta", "apply", "pipe", "file", "new"), "There is no file or folder pipe"),
        (("delta", "apply", "file", "file", "new"), "file cannot be used"),
        (("delta", "explain", "pipe"), "There is no patch pipe"),
        (("show", "--repository", ".."), "There is no repository at /"),
        (("delta", "diff", "file", "file", "file"), "file exists already. Name another path"),
        (("delta", "diff", "file", "file", "file", "--force"), "file exists already"),
        (("delta", "diff", "file", "file", "link", "--force"), "link is not a regular file"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line_with_what_can(
    shop: Vendor, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    write_advisory(tmp_path / "advisory.toml")
    write_tree(tmp_path / "fixed", FIXED)
    (tmp_path / "file").write_text("content")
    (tmp_path / "other").write_text("other content")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe")
    before = (everything(tmp_path), everything(shop.folder))
    environment = {"REPOINT_REPOSITORY": str(shop.repository.path), "REPOINT_PASSPHRASE": "x"}
    line = refusal(repoint(*arguments, cwd=tmp_path, env=environment), expected)
    assert len(line) < 500
    assert (everything(tmp_path), everything(shop.folder)) == before


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
