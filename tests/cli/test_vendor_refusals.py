"""What a vendor gets for input that does not fit: a clear error, and a repository as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from repoint.model.baseline import BaselineName
from tests.cli.command import Answer, everything, refusal, repoint, works
from tests.cli.conftest import write_advisory
from tests.world import FIXED, NAME, OLD, Vendor, write_tree


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("fixed") / "engine", FIXED)


@pytest.fixture(autouse=True)
def nothing_changes(shop: Vendor) -> object:
    before = everything(shop.folder)
    yield
    assert everything(shop.folder) == before


def improve(
    shop: Vendor, fixed: Path, advisory: Path, *more: str, version: str = "26.3.1"
) -> Answer:
    return repoint(
        "improve", shop.product, "--version", version, "--component", f"engine={fixed}",
        "--advisory", advisory, "--repository", shop.repository.path, *more,
    )  # fmt: skip


def test_an_advisory_with_a_malformed_cve_id(shop: Vendor, fixed: Path, tmp_path: Path) -> None:
    advisory = write_advisory(tmp_path / "a.toml", cves='["CVE-23-4863"]')
    refusal(improve(shop, fixed, advisory), "a.toml: fix 1: 'CVE-23-4863' is not a CVE id")


def test_an_advisory_for_an_unknown_component(shop: Vendor, fixed: Path, tmp_path: Path) -> None:
    advisory = write_advisory(tmp_path / "a.toml", component="pillow")
    refusal(improve(shop, fixed, advisory), "a.toml: fix 1: 'pillow' is not a component of the baseline",
            "Use one of: engine")  # fmt: skip


def test_an_advisory_that_is_not_toml(shop: Vendor, fixed: Path, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('title = "A security update\n')
    refusal(improve(shop, fixed, tmp_path / "a.toml"), "a.toml: not TOML", "line 1")


def test_an_advisory_that_does_not_exist(shop: Vendor, fixed: Path, tmp_path: Path) -> None:
    line = refusal(improve(shop, fixed, tmp_path / "a.toml"), "No such file or directory")
    assert str(tmp_path / "a.toml") in line


def test_an_unknown_version_build_or_platform(shop: Vendor, fixed: Path, advisory: Path) -> None:
    known = "26.3.1 (25D2128) for linux-x86_64"
    for answer in (
        improve(shop, fixed, advisory, version="26.4"),
        improve(shop, fixed, advisory, "--build", "25D1"),
        improve(shop, fixed, advisory, "--platform", "linux-aarch64"),
    ):
        refusal(answer, "acme-kiosk has no baseline", known)


def test_an_unknown_product(shop: Vendor, fixed: Path, advisory: Path) -> None:
    answer = repoint(
        "improve", "nothing", "--version", "26.3.1", "--component", f"engine={fixed}",
        "--advisory", advisory, "--repository", shop.repository.path,
    )  # fmt: skip
    refusal(answer, "no product 'nothing'")


def test_an_unknown_component(shop: Vendor, fixed: Path, advisory: Path) -> None:
    answer = repoint(
        "improve", shop.product, "--version", "26.3.1", "--component", f"motor={fixed}",
        "--advisory", advisory, "--repository", shop.repository.path,
    )  # fmt: skip
    refusal(answer, "has no component motor", "engine")


def test_a_fixed_component_in_which_nothing_changed(
    shop: Vendor, tmp_path: Path, advisory: Path
) -> None:
    same = write_tree(tmp_path / "same", OLD)
    refusal(improve(shop, same, advisory), "are the same as in acme-kiosk 26.3.1")


def test_a_letter_that_exists(shop: Vendor, fixed: Path, advisory: Path) -> None:
    refusal(improve(shop, fixed, advisory, "--letter", "a"), "26.3.1 (a) is already used",
            "The next free letter is (b)")  # fmt: skip


def test_a_letter_that_is_none(shop: Vendor, fixed: Path, advisory: Path) -> None:
    refusal(improve(shop, fixed, advisory, "--letter", "7"), "'7' is not a letter")


def test_a_baseline_that_exists(shop: Vendor, fixed: Path) -> None:
    answer = repoint(
        "baseline", "add", shop.product, "--version", NAME.version, "--build", NAME.build,
        "--platform", NAME.platform, "--component", f"engine={fixed}",
        "--repository", shop.repository.path,
    )  # fmt: skip
    refusal(answer, f"acme-kiosk {NAME} is already registered", "own version or build")


@pytest.mark.parametrize(
    ("option", "value"), [("--version", "26/3"), ("--build", ".."), ("--platform", "Linux")]
)
def test_a_baseline_with_a_name_that_cannot_be(
    shop: Vendor, fixed: Path, option: str, value: str
) -> None:
    answer = repoint(
        "baseline", "add", shop.product, "--version", "27.0", "--build", "27A1",
        "--component", f"engine={fixed}", "--repository", shop.repository.path, option, value,
    )  # fmt: skip
    refusal(answer, repr(value))


def test_withdrawing_a_label_that_was_never_published(shop: Vendor) -> None:
    answer = repoint("withdraw", shop.product, "26.3.1 (c)", "--reason", "it crashes",
                     "--repository", shop.repository.path)  # fmt: skip
    refusal(answer, "no published improvement 26.3.1 (c)", "Published improvements: 26.3.1 (a)")


def test_withdrawing_what_is_no_label(shop: Vendor) -> None:
    answer = repoint("withdraw", shop.product, "26.3.1a", "--reason", "it crashes",
                     "--repository", shop.repository.path)  # fmt: skip
    refusal(answer, "'26.3.1a' is not the label of an improvement", '"26.3.1 (a)"')


def test_publishing_without_a_draft(shop: Vendor) -> None:
    answer = repoint("publish", shop.product, "--repository", shop.repository.path)
    refusal(answer, "no draft to publish", "repoint improve")


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    refusal(repoint("show", "--repository", tmp_path), f"no repository at {tmp_path}")
    assert everything(tmp_path) == {}


def test_a_repository_that_exists(shop: Vendor) -> None:
    answer = repoint("repository", "init", shop.repository.path, "--no-passphrase")
    refusal(answer, "There is already a repository at", "another folder")


def test_a_repository_in_a_folder_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "photo").write_text("mine")
    answer = repoint("repository", "init", tmp_path, "--no-passphrase")
    refusal(answer, f"{tmp_path} is not an empty folder")
    assert [path.name for path in tmp_path.iterdir()] == ["photo"]


def test_new_keys_without_a_passphrase_and_without_a_terminal(tmp_path: Path) -> None:
    refusal(repoint("repository", "init", tmp_path / "repository"), "no terminal",
            "REPOINT_PASSPHRASE")  # fmt: skip
    assert everything(tmp_path) == {}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose keys are encrypted."""
    path = tmp_path_factory.mktemp("locked") / "repository"
    works("repository", "init", path, env={"REPOINT_PASSPHRASE": "correct horse"})
    return path


def add_to(repository: Path, fixed: Path, **env: str) -> Answer:
    return repoint(
        "baseline", "add", "acme-kiosk", "--version", "1.0", "--build", "1",
        "--component", f"engine={fixed}", "--repository", repository, env=env,
    )  # fmt: skip


def test_a_wrong_passphrase(locked: Path, fixed: Path) -> None:
    before = everything(locked)
    answer = add_to(locked, fixed, REPOINT_PASSPHRASE="battery")
    refusal(answer, "The passphrase does not decrypt the key of role")
    assert everything(locked) == before


def test_no_passphrase(locked: Path, fixed: Path) -> None:
    before = everything(locked)
    refusal(add_to(locked, fixed), "A passphrase is needed")
    assert everything(locked) == before


def test_a_key_that_is_gone(locked: Path, fixed: Path) -> None:
    key = locked / "keys/targets.pem"
    content = key.read_bytes()
    key.unlink()
    before = everything(locked)
    answer = add_to(locked, fixed, REPOINT_PASSPHRASE="correct horse")
    refusal(answer, "The key of role 'targets' cannot be read")
    assert everything(locked) == before
    key.write_bytes(content)


def test_a_version_that_means_two_baselines(tmp_path: Path, fixed: Path, advisory: Path) -> None:
    two = Vendor(tmp_path / "two")
    two.baseline()
    two.baseline(name=BaselineName("linux-aarch64", NAME.version, NAME.build))
    before = everything(two.folder)
    refusal(improve(two, fixed, advisory), "has 2 baselines 26.3.1", "--build and --platform",
            "linux-aarch64", "linux-x86_64")  # fmt: skip
    assert everything(two.folder) == before
