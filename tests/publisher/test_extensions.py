"""The image that an improvement of a system's component becomes, as the vendor signs it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from repoint.image.layer_image import Overlay, layer_image
from repoint.image.verity import HashTree
from repoint.model.baseline import Baseline
from repoint.model.encoding import decode_record, encode_record
from repoint.model.errors import InvalidRecordError
from repoint.model.improvement import Improvement
from repoint.model.system import System, read_system
from repoint.publisher.baselines import baseline_folder
from repoint.publisher.catalog.catalogs import read_baseline
from repoint.publisher.errors import UnfitForSystemError
from repoint.tree.scan import scan_tree
from tests.cli.command import repoint, works
from tests.world import NAME, Files, Vendor, big, write_tree

DEBIAN = System("debian", "12")
RELEASE = {
    "usr/lib/extension-release.d/extension-release.repoint-acme-kiosk": b"ID=debian\nVERSION_ID=12\n"
}
CODEC: Files = {"usr/lib/libcodec.so": big(1), "usr/lib/libplugin.so": big(2, 9_000)}
SHELL: Files = {"usr/bin/shell": "old\n", "usr/share/shell/table": "old\n"}
FIXED_CODEC: Files = {"usr/lib/libcodec.so": big(1)[:20_000] + b"fixed" + big(1)[20_000:],
                      "usr/lib/libextra.so": big(2, 9_000)}  # fmt: skip
FIXED_SHELL: Files = {**SHELL, "usr/bin/shell": "new\n"}


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    made = Vendor(tmp_path / "vendor")
    made.baseline({"codec": CODEC, "shell": SHELL}, system=DEBIAN)
    return made


def expected(vendor: Vendor, tmp_path: Path, message: Improvement, trees: dict[str, Files]) -> str:
    """The root hash of the image of whole trees, without any patch."""
    overs = []
    for name, files in trees.items():
        old = baseline_folder(vendor.repository, vendor.product, NAME) / name
        new = write_tree(tmp_path / f"{message.letter}-{name}", files)
        overs.append(Overlay(scan_tree(old), scan_tree(new), new.joinpath))
    assert message.extension is not None
    image = layer_image(overs, RELEASE, created=message.created, first=message.extension.first)
    assert image.size == message.extension.size
    tree = HashTree()
    for chunk in image.chunks():
        tree.update(chunk)
    return tree.root_hash


def test_an_improvement_names_the_image_of_all_that_it_changes(
    vendor: Vendor, tmp_path: Path
) -> None:
    a = vendor.release({"codec": FIXED_CODEC})
    b = vendor.release({"shell": FIXED_SHELL})
    assert a.extension is not None
    assert b.extension is not None
    assert a.extension.root_hash == expected(vendor, tmp_path, a, {"codec": FIXED_CODEC})
    both: dict[str, Files] = {"codec": FIXED_CODEC, "shell": FIXED_SHELL}
    assert b.extension.root_hash == expected(vendor, tmp_path, b, both)


@pytest.mark.slow
def test_two_letters_never_give_one_number_to_two_files(vendor: Vendor) -> None:
    a = vendor.release({"codec": FIXED_CODEC})
    vendor.withdraw("a")
    b = vendor.improve({"shell": FIXED_SHELL}, drop=("CVE-2023-4863",)).draft.improvement
    c = vendor.improve({"codec": FIXED_CODEC}).draft.improvement
    first = [i.extension.first for i in (a, b, c) if i.extension is not None]
    # The root has a number of its own; (a) has usr, lib, three files, the release and its folder;
    # (b) has usr, bin, one file, and lib with the release and its folder.
    assert first == [38, 38 + 7, 38 + 7 + 6]


def test_a_baseline_that_names_no_system_is_written_as_before(vendor: Vendor) -> None:
    name = msgspec.structs.replace(NAME, build="25D2129")
    vendor.baseline({"codec": CODEC}, name=name)
    plain = encode_record(read_baseline(vendor.repository, vendor.product, name))
    assert b'"system"' not in plain
    assert list(msgspec.json.decode(plain)) == [
        "format",
        "product",
        "name",
        "created",
        "components",
    ]
    improvement = vendor.improve({"codec": FIXED_CODEC}, name=name).draft.improvement
    assert list(msgspec.json.decode(encode_record(improvement))) == [
        "format", "product", "baseline", "letter", "created", "advisories", "components",
    ]  # fmt: skip


def test_the_records_are_read_strictly(vendor: Vendor) -> None:
    baseline = msgspec.to_builtins(read_baseline(vendor.repository, vendor.product, NAME))
    for system in (
        {},
        {"id": ""},
        {"id": "_any"},
        {"id": "a\nb"},
        {"id": "a", "more": 1},
        "debian",
    ):
        with pytest.raises(InvalidRecordError):
            decode_record(msgspec.json.encode({**baseline, "system": system}), Baseline, "it")
    improvement = msgspec.to_builtins(vendor.release({"codec": FIXED_CODEC}))
    good = improvement["extension"]
    for change in (
        {"root_hash": "0"}, {"root_hash": "G" * 64}, {"size": 4097}, {"size": 0}, {"first": 0},
        {"more": 1},
    ):  # fmt: skip
        changed = {**improvement, "extension": {**good, **change}}
        with pytest.raises(InvalidRecordError):
            decode_record(msgspec.json.encode(changed), Improvement, "it")
    for field in good:
        less = {name: value for name, value in good.items() if name != field}
        with pytest.raises(InvalidRecordError):
            decode_record(
                msgspec.json.encode({**improvement, "extension": less}), Improvement, "it"
            )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"etc/shadow": "x"}, "/etc of codec lies neither below /usr nor below /opt"),
        ({"usr/lib/os-release": "ID=x"}, "/usr/lib/os-release of codec identifies the system"),
        ({**CODEC, "usr/bin/shell": "x"}, "/usr/bin/shell is part of codec and of shell"),
    ],
)
def test_a_component_that_no_image_could_improve_is_refused(
    vendor: Vendor, files: Files, message: str
) -> None:
    name = msgspec.structs.replace(NAME, build="25D2129")
    with pytest.raises(UnfitForSystemError, match=message):
        vendor.baseline({"codec": files, "shell": SHELL}, name=name, system=DEBIAN)
    vendor.baseline({"codec": files, "shell": SHELL}, name=name)


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({**CODEC, "etc/cron.d/job": "x"}, "/etc of codec lies neither below"),
        ({"usr/lib": "a file"}, "/usr/lib of codec is a file that replaces a folder"),
    ],
)
def test_a_change_that_no_image_could_bring_is_refused(
    vendor: Vendor, files: Files, message: str
) -> None:
    with pytest.raises(UnfitForSystemError, match=message):
        vendor.improve({"codec": files})


@pytest.mark.slow
def test_the_command_takes_the_system_from_its_os_release(tmp_path: Path) -> None:
    repository, tree = tmp_path / "updates", write_tree(tmp_path / "tree", CODEC)
    (tmp_path / "os-release").write_text('NAME="Debian"\n# ID=no\nID=debian\nVERSION_ID="12"\n')
    works("repository", "init", repository, "--no-passphrase")
    command = (
        "baseline", "add", "acme", "--version", "1.0", "--build", "1", "--no-passphrase",
        "--component", f"codec={tree}", "-r", repository, "--os-release",
    )  # fmt: skip
    refused = repoint(*command, tmp_path / "none")
    assert refused.status == 1
    assert refused.err.startswith(f"repoint: {tmp_path}/none cannot be read: No such file")
    (tmp_path / "empty").write_text("NAME=x\n")
    refused = repoint(*command, tmp_path / "empty")
    assert refused.status == 1
    assert refused.err.startswith(
        f"repoint: {tmp_path}/empty does not name a system: A system has no ID."
    )
    assert "for the system debian 12" in works(*command, tmp_path / "os-release")


def test_a_system_without_a_version_has_none() -> None:
    assert read_system("ID=arch\n", "it") == System("arch")
    assert System("arch").fields() == {"ID": "arch"}
    assert str(System("arch")) == "arch"
