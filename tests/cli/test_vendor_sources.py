"""A source that is unreadable or unfit: a clear error, and a repository that is as it was."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Unpack

import pytest

from tests.cli.command import Answer, everything, refusal, repoint
from tests.publisher.sources_support import Fields, member, tar_bytes, write_wheel
from tests.world import Vendor


def add(shop: Vendor, source: Path) -> Answer:
    return repoint(
        "baseline", "add", shop.product, "--version", "27.0", "--build", "27A1",
        "--component", f"engine={source}", "--repository", shop.repository.path,
    )  # fmt: skip


def missing(folder: Path) -> Path:
    return folder / "nothing.whl"


def empty_file(folder: Path) -> Path:
    (folder / "empty.whl").touch()
    return folder / "empty.whl"


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def text(folder: Path) -> Path:
    (folder / "notes.txt").write_text("not an archive\n" * 99)
    return folder / "notes.txt"


def truncated_wheel(folder: Path) -> Path:
    whole = write_wheel(folder / "whole.whl", {"pkg/engine.py": b"x = 1\n" * 999}).read_bytes()
    (folder / "pkg.whl").write_bytes(whole[: len(whole) // 2])
    return folder / "pkg.whl"


def changed_wheel(folder: Path) -> Path:
    lied = "pkg/engine.py,sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,6\n"
    lied += "pkg-1.0.dist-info/WHEEL,sha256=AAAA,1\npkg-1.0.dist-info/RECORD,,\n"
    return write_wheel(folder / "pkg.whl", {"pkg/engine.py": b"x = 1\n"}, record=lied)


def tar_with(folder: Path, name: str, **fields: Unpack[Fields]) -> Path:
    (folder / "engine.tar").write_bytes(tar_bytes([member("a"), member(name, **fields)]))
    return folder / "engine.tar"


def climbing_tar(folder: Path) -> Path:
    return tar_with(folder, "../evil")


def absolute_tar(folder: Path) -> Path:
    return tar_with(folder, "/etc/evil")


def linking_tar(folder: Path) -> Path:
    return tar_with(folder, "out", type=tarfile.SYMTYPE, linkname="../../etc")


def tar_through_a_link(folder: Path) -> Path:
    link = member("lib", type=tarfile.SYMTYPE, linkname="share")
    (folder / "engine.tar").write_bytes(tar_bytes([member("share/a"), link, member("lib/evil")]))
    return folder / "engine.tar"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (missing, "does not exist"),
        (empty_file, "is not a source that Repoint supports"),
        (empty_folder, "It contains no file"),
        (text, "is not a source that Repoint supports"),
        (truncated_wheel, "is corrupt or truncated"),
        (changed_wheel, "differs from the wheel's RECORD"),
        (climbing_tar, "'../evil' would leave the tree"),
        (absolute_tar, "'/etc/evil' would leave the tree"),
        (linking_tar, "'out' leads out of the tree, to '../../etc'"),
        (tar_through_a_link, "'lib/evil' goes through 'lib', a link"),
    ],
)  # fmt: skip
def test_an_unfit_source_is_refused_and_nothing_is_registered(
    shop: Vendor, tmp_path: Path, make: Callable[[Path], Path], expected: str
) -> None:
    source = make(tmp_path)
    before = everything(shop.folder), everything(tmp_path)
    refusal(add(shop, source), str(source), expected)
    assert (everything(shop.folder), everything(tmp_path)) == before


def test_an_unfit_source_of_a_fixed_component_leaves_no_draft(
    shop: Vendor, tmp_path: Path, advisory: Path
) -> None:
    source = climbing_tar(tmp_path)
    before = everything(shop.folder)
    answer = repoint(
        "improve", shop.product, "--version", "26.3.1", "--component", f"engine={source}",
        "--advisory", advisory, "--repository", shop.repository.path,
    )  # fmt: skip
    refusal(answer, "'../evil' would leave the tree")
    assert everything(shop.folder) == before
