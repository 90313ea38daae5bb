"""A vendor with a manifest: one command registers all releases, one builds a fix for all of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from repoint.model.baseline import About, Baseline
from repoint.publisher.publisher import Publisher
from repoint.repository.repository import Repository
from tests.cli.command import COMMAND, Answer, environment, everything, misuse, refusal, repoint
from tests.cli.conftest import write_advisory
from tests.publisher.sources_support import write_wheel
from tests.world import FIXED, OLD, Files, big, write_tree

ARM, INTEL = "linux-aarch64", "linux-x86_64"
MANIFEST = """\
[product]
id = "acme-kiosk"
name = "Acme Kiosk"
vendor = "Acme"
support = "help@acme.example"
platforms = ["linux-x86_64", "linux-aarch64"]

[[component]]
id = "engine"
name = "Web engine"
source = "build/{version}/{platform}/engine"
restart = "session"
ignore = ["*.log"]

[[component]]
id = "shell"
source = "build/{version}/shell-*.whl"
health = "{python} -c 'import json'"

[[baseline]]
version = "26.3.1"
build = "25D2128"

[[baseline]]
version = "26.2.0"
build = "25C1"
platforms = ["linux-x86_64"]
"""
ABOUT = About("Kiosk", "Acme", support="help@acme.example", components={"engine": "Web engine"})
RELEASES = [("26.3.1", INTEL), ("26.3.1", ARM), ("26.2.0", INTEL)]


class Desk:
    """A vendor's working folder, with a repository beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        if self.folder.exists():
            self.repository = Repository.open(folder / "repository")
            return
        self.folder.mkdir()
        self.repository = Repository.create(folder / "repository", passphrase=None)
        self.write("repoint.toml", MANIFEST)
        for version in ("26.3.1", "26.2.0"):
            self.build("engine", OLD, version)
            self.wheel("1.0", version)

    def copied(self, folder: Path) -> Desk:
        shutil.copytree(self.folder.parent, folder, symlinks=True)
        return Desk(folder)

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name

    def build(self, component: str, files: Files, version: str) -> None:
        for platform in (INTEL, ARM):
            own: Files = {**files, "lib/own.so": big(len(version + platform), 5_000)}
            write_tree(self.folder / "build" / version / platform / component, own)

    def wheel(self, number: str, version: str) -> None:
        folder = self.folder / "build" / version
        for old in folder.glob("shell-*.whl"):
            old.unlink()
        files = {"shell/__init__.py": f"VERSION = {number!r}\n".encode()}
        write_wheel(folder / f"shell-{number}-py3-none-any.whl", files)

    def fix(self) -> None:
        """Build the fixed engine of every release."""
        for version in ("26.3.1", "26.2.0"):
            self.build("engine", FIXED, version)
        write_advisory(self.folder / "advisory.toml")

    def run(self, *arguments: str | Path) -> Answer:
        return repoint(
            *arguments, cwd=self.folder, env={"REPOINT_REPOSITORY": str(self.repository.path)}
        )

    def works(self, *arguments: str | Path) -> str:
        answer = self.run(*arguments)
        assert answer.status == 0, answer
        return answer.out

    @property
    def publisher(self) -> Publisher:
        return Publisher(self.repository)

    def baseline(self, version: str, platform: str) -> Baseline:
        return self.publisher.baseline("acme-kiosk", version, platform=platform)

    def drafts(self) -> list[tuple[str, str, str]]:
        found = [draft.improvement for draft in self.publisher.drafts("acme-kiosk")]
        return [(each.baseline.version, each.baseline.platform, each.letter) for each in found]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def first_released(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The desk with baselines that every test gets a copy of: signatures take time."""
    made = Desk(tmp_path_factory.mktemp("desk"))
    made.works("baseline", "add", "--no-passphrase")
    return made


@pytest.fixture
def released(first_released: Desk, tmp_path: Path) -> Desk:
    return first_released.copied(tmp_path / "copy")


class TestBaselineAdd:
    def test_registers_every_release_for_every_platform(self, desk: Desk) -> None:
        out = desk.works("baseline", "add", "--no-passphrase")
        for version, platform in RELEASES:
            assert f"Registered acme-kiosk {desk.baseline(version, platform).name}." in out
        baseline = desk.baseline("26.3.1", ARM)
        assert baseline.about == replace(ABOUT, name="Acme Kiosk")
        engine, shell = baseline.components
        assert (engine.restart, "*.log" in engine.ignore) == ("session", True)
        assert (shell.restart, shell.health) == ("app", ("{python}", "-c", "import json"))

    @pytest.mark.slow
    def test_goes_on_with_those_that_are_not_registered_yet(self, released: Desk) -> None:
        shutil.rmtree(released.folder / "build/26.2.0")
        more = '[[baseline]]\nversion = "26.4.0"\nbuild = "25E1"\n'
        released.write("repoint.toml", MANIFEST + more)
        released.build("engine", FIXED, "26.4.0")
        released.wheel("1.1", "26.4.0")
        out = released.works("baseline", "add")
        assert out.count("Registered already: ") == 3
        assert out.count("Registered acme-kiosk 26.4.0 (25E1)") == 2

    @pytest.mark.slow
    def test_registers_nothing_if_a_source_is_missing(self, desk: Desk) -> None:
        shutil.rmtree(desk.folder / "build/26.2.0" / INTEL)
        refusal(desk.run("baseline", "add", "--no-passphrase"),
                "There is no build/26.2.0/linux-x86_64/engine, the source of engine for 26.2.0")  # fmt: skip
        assert desk.repository.products() == []

    @pytest.mark.slow
    def test_options_go_before_the_manifest(self, desk: Desk) -> None:
        write_tree(desk.folder / "other/linux-aarch64", {"a": "b"})
        desk.works(
            "baseline", "add", "acme-kiosk", "--version", "27.0", "--build", "27A1", "--platform", ARM,
            "--component", "engine=other/{platform}", "--component", f"extra={desk.folder}/build",
            "--component", "shell=build/26.3.1/shell-*.whl", "--restart", "shell=system",
            "--name", "Kiosk", "--no-passphrase",
        )  # fmt: skip
        baseline = desk.baseline("27.0", ARM)
        assert [part.name for part in baseline.components] == ["engine", "shell", "extra"]
        assert [entry.path for entry in baseline.components[0].entries] == ["a"]
        assert [part.restart for part in baseline.components] == ["session", "system", "app"]
        assert baseline.about == ABOUT

    @pytest.mark.slow
    def test_a_manifest_elsewhere_is_named(self, desk: Desk, tmp_path: Path) -> None:
        answer = repoint("baseline", "add", "--manifest", desk.folder / "repoint.toml",
                         "--no-passphrase", "-r", desk.repository.path, cwd=tmp_path)  # fmt: skip
        assert answer.status == 0, answer
        answer = repoint("baseline", "add", "--manifest", "nothing.toml", cwd=tmp_path)
        refusal(answer, "The manifest nothing.toml cannot be read: No such file", "`repoint init`")

    @pytest.mark.slow
    def test_the_manifest_of_another_product_does_not_count(self, desk: Desk) -> None:
        misuse(
            desk.run("baseline", "add", "other"), "with that of another product, name the product"
        )
        refusal(desk.run("baseline", "add", "other", "--manifest", "repoint.toml"),
                "repoint.toml is the manifest of acme-kiosk, not of other")  # fmt: skip
        desk.works("baseline", "add", "other", "--version", "1.0", "--build", "1", "--component",
                   f"engine={desk.folder}/build", "--no-passphrase")  # fmt: skip
        assert desk.repository.products() == ["other"]

    @pytest.mark.slow
    def test_a_version_that_the_manifest_lacks_needs_a_build(self, desk: Desk) -> None:
        refusal(desk.run("baseline", "add", "--version", "27.0"),
                "repoint.toml has no baseline 27.0. Add it under [[baseline]], or give")  # fmt: skip

    def test_a_manifest_that_does_not_fit_is_refused(self, desk: Desk) -> None:
        desk.write("repoint.toml", MANIFEST.replace("restart", "restrat"))
        refusal(desk.run("baseline", "add"),
                "repoint.toml: component 1 (engine): 'restrat' is unknown. Did you mean 'restart'?")  # fmt: skip

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ('icon = "pipe"', "The icon pipe cannot be read: it is not a plain file"),
            ('icon = "a\\u0000"', "repoint.toml: 'icon' is no path"),
        ],
    )
    def test_an_icon_that_is_no_file_is_refused(self, desk: Desk, line: str, message: str) -> None:
        os.mkfifo(desk.folder / "pipe")
        desk.write("repoint.toml", MANIFEST.replace("[product]", f"[product]\n{line}"))
        refusal(desk.run("baseline", "add", "--no-passphrase"), message)

    @pytest.mark.slow
    def test_takes_the_icon_and_refuses_what_is_none(self, desk: Desk) -> None:
        icon = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 32, 512)
        desk.write("repoint.toml", MANIFEST.replace("[product]", '[product]\nicon = "icon.png"'))
        for content, said in (
            (
                None,
                "The icon icon.png cannot be read: No such file or directory. Correct 'icon' in",
            ),
            (b"GIF89a" + icon, "icon.png: The icon is no PNG. Save it as PNG"),
            (icon[:20], "icon.png: The icon is no PNG"),
            (
                icon + bytes(1 << 15),
                "icon.png: The icon is larger than 32,768 bytes. Make it smaller",
            ),
            (
                icon[:-1] + b"\1",
                "icon.png: The icon is 32 by 513 pixels. Make it at most 512 by 512",
            ),
        ):
            if content is not None:
                (desk.folder / "icon.png").write_bytes(content)
            refusal(desk.run("baseline", "add", "--no-passphrase"), said)
        (desk.folder / "icon.png").write_bytes(icon)
        desk.works("baseline", "add", "--no-passphrase")
        assert desk.baseline("26.3.1", ARM).icon == icon


class TestImprove:
    def test_builds_the_fix_for_every_baseline(self, released: Desk) -> None:
        released.fix()
        out = released.works("improve", "--advisory", "advisory.toml")
        assert sorted(released.drafts()) == sorted((*release, "a") for release in RELEASES)
        assert out.count("Built 26.3.1 (a) for 26.3.1 (25D2128)") == 2
        assert out.count("engine: 3 changed\n  patch ") == 3
        assert "shell" not in out
        assert out.endswith("Publish it with `repoint publish`.\n")

    def test_a_plan_shows_what_it_would_build_and_builds_nothing(self, released: Desk) -> None:
        released.fix()
        released.works("baseline", "retire", "--version", "26.2.0")
        before = everything(released.repository.path, ".25D2128.lock")
        out = released.works("improve", "--advisory", "advisory.toml", "--plan")
        assert out == (
            "26.3.1 (a) for 26.3.1 (25D2128) for linux-x86_64: to build\n"
            "  engine from build/26.3.1/linux-x86_64/engine: 3 changed\n"
            "26.3.1 (a) for 26.3.1 (25D2128) for linux-aarch64: to build\n"
            "  engine from build/26.3.1/linux-aarch64/engine: 3 changed\n"
            "Left out: 26.2.0 (25C1) for linux-x86_64, retired\n"
        )
        assert everything(released.repository.path, ".25D2128.lock") == before

    def test_a_plan_says_what_differs_too_and_which_cve_id_cannot_be(self, released: Desk) -> None:
        released.fix()
        released.wheel("1.1", "26.2.0")
        write_advisory(released.folder / "advisory.toml", cves='["CVE-2932-4908"]')
        answer = released.run("improve", "--advisory", "advisory.toml", "--plan")
        assert answer.err.startswith(
            "CVE-2932-4908 is of a year in the future. If that is a typing"
        )
        assert answer.out.count("shell: differs too, left out because the advisory has no fix") == 1

    @pytest.mark.slow
    def test_says_which_baselines_it_leaves_out_and_why(self, released: Desk) -> None:
        released.fix()
        rest = MANIFEST.replace(
            'version = "26.2.0"\nbuild = "25C1"', 'version = "26.9"\nbuild = "1"'
        )
        released.write("repoint.toml", rest)
        out = released.works("improve", "--advisory", "advisory.toml")
        assert "Left out: 26.9 (1) for linux-x86_64, not registered\n" in out
        assert "Left out: 26.2.0 (25C1) for linux-x86_64, not in repoint.toml\n" in out

    @pytest.mark.slow
    def test_a_baseline_that_has_the_fix_needs_none(self, released: Desk) -> None:
        released.fix()
        released.build("engine", OLD, "26.2.0")
        out = released.works("improve", "--advisory", "advisory.toml")
        assert (
            "26.2.0 (25C1) for linux-x86_64 needs no improvement: it has the same engine\n" in out
        )
        assert len(released.drafts()) == 2

    @pytest.mark.slow
    def test_a_fix_that_was_not_built_is_refused(self, released: Desk) -> None:
        write_advisory(released.folder / "advisory.toml")
        answer = released.run("improve", "--advisory", "advisory.toml")
        assert answer.status == 1
        assert "The source of engine is the same as in every baseline. Build the fix" in answer.err

    @pytest.mark.slow
    def test_options_choose_and_go_before_the_manifest(self, released: Desk) -> None:
        released.fix()
        for platform in (INTEL, ARM):
            write_tree(released.folder / "hot" / platform, {**OLD, "hot": "fix"})
        out = released.works(
            "improve", "--advisory", "advisory.toml", "--version", "26.3.1",
            "--component", "engine=hot/{platform}", "--letter", "c",
        )  # fmt: skip
        assert sorted(released.drafts()) == [("26.3.1", ARM, "c"), ("26.3.1", INTEL, "c")]
        assert out.count("engine: 1 added, 1 removed") == 2

    @pytest.mark.slow
    def test_the_same_command_again_builds_only_what_is_missing(self, released: Desk) -> None:
        released.fix()
        released.works("improve", "--advisory", "advisory.toml", "--platform", ARM)
        released.works("publish", "acme-kiosk")
        released.works("improve", "--advisory", "advisory.toml", "--version", "26.2.0")
        out = released.works("improve", "--advisory", "advisory.toml")
        assert "26.3.1 (a) for 26.3.1 (25D2128) for linux-aarch64 is published already." in out
        assert "26.2.0 (a) for 26.2.0 (25C1) for linux-x86_64 is built already." in out
        assert "Built 26.3.1 (a) for 26.3.1 (25D2128) for linux-x86_64" in out
        assert out.count("Built") == 1

    @pytest.mark.slow
    def test_one_baseline_that_is_refused_does_not_hold_up_the_others(self, released: Desk) -> None:
        released.fix()
        file = released.folder / "build/26.2.0" / INTEL / "engine/main.py"
        file.chmod(0o4755)
        answer = released.run("improve", "--advisory", "advisory.toml")
        assert answer.status == 1
        assert answer.out.count("Built") == 2
        assert (
            "repoint: 26.2.0 (25C1) for linux-x86_64: main.py of engine is set-user-ID"
            in answer.err
        )
        assert "Traceback" not in answer.err

    def test_a_component_that_the_manifest_lacks_is_named(self, released: Desk) -> None:
        released.fix()
        released.write("repoint.toml", MANIFEST.replace('"engine"', '"motor"'))
        refusal(released.run("improve", "--advisory", "advisory.toml"),
                "repoint.toml has no component engine, which the advisory names. Add it under")  # fmt: skip

    def test_without_a_manifest_the_options_must_say_all(self, released: Desk) -> None:
        (released.folder / "repoint.toml").unlink()
        misuse(released.run("improve", "--advisory", "advisory.toml"),
               "without a manifest, or with that of another product, name the product, --version and")  # fmt: skip


class TestDraft:
    def test_a_wrong_one_is_replaced_or_discarded_without_naming_the_product(
        self, released: Desk
    ) -> None:
        released.fix()
        improve = ("improve", "--advisory", "advisory.toml", "--version", "26.2.0")
        released.works(*improve)
        write_advisory(released.folder / "advisory.toml", cves='["CVE-2023-5129"]')
        assert "  26.2.0 (b) contains the unpublished draft 26.2.0 (a)" in released.works(
            *improve, "--plan"
        )
        assert "Built 26.2.0 (a) for" in released.works(*improve, "--replace")
        assert released.drafts() == [("26.2.0", INTEL, "a")]
        out = released.works("draft", "list")
        assert out.startswith("  26.2.0 (a) for 26.2.0 (25C1) for linux-x86_64: A security update")
        assert "    fixes CVE-2023-5129\n" in out
        shown = released.works("draft", "show", "26.2.0 (a)")
        assert "CVE-2023-5129 in engine: Opening a picture" in shown
        assert "    engine: 3 paths changed, 0 removed, patch" in shown
        (record,) = json.loads(released.works("draft", "show", "26.2.0 (a)", "--json"))
        assert (record["label"], record["baseline"]["build"]) == ("26.2.0 (a)", "25C1")
        refusal(released.run("draft", "show", "26.2.0 (b)"), "has no draft 26.2.0 (b)")
        misuse(released.run("draft", "show"), "name one improvement, such as")
        assert "Discarded 26.2.0 (a)" in released.works("draft", "discard", "26.2.0 (a)", "--yes")
        assert released.works("draft", "list", "acme-kiosk") == "No drafts.\n"

    def test_published_letters_are_named_without_the_product(self, released: Desk) -> None:
        released.fix()
        released.works("improve", "--advisory", "advisory.toml", "--version", "26.2.0")
        assert "Published 26.2.0 (a)" in released.works("publish", "26.2.0 (a)")
        assert "offered to all devices" in released.works("rollout", "show")
        paused = released.works("rollout", "pause", "26.2.0 (a)", "--reason", "it crashes")
        assert "26.2.0 (a) for 26.2.0 (25C1) for linux-x86_64: paused: it crashes" in paused
        out = released.works("withdraw", "26.2.0 (a)", "--reason", "it crashes")
        assert out.startswith("Withdrew 26.2.0 (a)")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_after_a_kill_the_same_command_goes_on(released: Desk, number: int) -> None:
    released.fix()
    # It takes half a minute to encode; the other two baselines are done long before.
    large = {**FIXED, "lib/large.so": big(7, 30_000_000)}
    write_tree(released.folder / "build/26.2.0" / INTEL / "engine", large)
    drafts = released.repository.path / "drafts"
    running = subprocess.Popen(
        [*COMMAND, "improve", "--advisory", "advisory.toml"],
        cwd=released.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(REPOINT_REPOSITORY=str(released.repository.path)),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(released.drafts()) < 2 or not list(drafts.rglob(".engine.patch.*")):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.05)
    started = time.monotonic()
    running.send_signal(number)
    _, err = running.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert len(released.drafts()) == 2
    assert "Traceback" not in err
    released.fix()
    out = released.works("improve", "--advisory", "advisory.toml")
    assert out.count("is built already.") == 2
    assert "Built 26.2.0 (a)" in out
    # Nothing half done stays behind: no scratch folder, no kept patch.
    assert [path for path in drafts.rglob("*") if path.name.startswith(".")] == []
