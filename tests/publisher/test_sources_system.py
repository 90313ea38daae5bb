"""Packages of a system: their paths on a system whose /bin, /lib and /sbin are merged into /usr."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from repoint.host.base_system import BaseSystem
from repoint.host.systemd.sysext import SystemExtensions
from repoint.model.system import System
from repoint.publisher.baselines import ComponentSource, Release
from repoint.publisher.ingest import unpack_source
from repoint.publisher.ingest.errors import UnfitSourceError
from repoint.tree.merged_usr import merged_path, relative_target
from tests.publisher.sources_support import Member, deb_bytes, member, tar_bytes, tree_of
from tests.world import NAME, Vendor


def link(name: str, target: str) -> Member:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def folder(name: str) -> Member:
    return member(name, type=tarfile.DIRTYPE, mode=0o755)


def second(name: str, original: str) -> Member:
    return member(name, type=tarfile.LNKTYPE, linkname=original)


def unpacked(tmp_path: Path, members: list[Member]) -> dict[str, object]:
    (tmp_path / "x.deb").write_bytes(deb_bytes([member("./usr/f", b""), *members]))
    unpack_source(tmp_path / "x.deb", tmp_path / "tree")
    found = tree_of(tmp_path / "tree")
    del found["usr"], found["usr/f"]
    return {path: content for path, content in found.items() if content is not None}


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("usr/lib/jvm/java/conf", "/etc/java", "../../../../etc/java"),
        ("usr/lib64/ld-linux.so.2", "/lib/x86/ld-linux.so.2", "../lib/x86/ld-linux.so.2"),
        ("usr/sbin/halt", "/bin/systemctl", "../bin/systemctl"),
        ("usr/lib/systemd/system/sudo.service", "/dev/null", "../../../../dev/null"),
        ("usr/bin/a", "/usr/bin/b", "b"),
        ("usr/bin/a", "//usr//bin/./b/", "b"),
        ("usr/bin/a", "/usr/lib/../bin/b", "b"),
        ("usr/bin/a", "/../../etc/x", "../../etc/x"),
        ("usr/bin/root", "/", "../.."),
        ("top", "/etc", "etc"),
        ("usr/bin/a", "b/../c", "b/../c"),
        ("usr/bin/a", "../../lib/x", "../../lib/x"),
    ],
)
def test_an_absolute_target_leads_to_the_same_file_from_the_link(
    path: str, target: str, expected: str
) -> None:
    assert relative_target(path, target) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("lib/x86_64-linux-gnu/libz.so.1", "usr/lib/x86_64-linux-gnu/libz.so.1"),
        ("lib64/ld.so", "usr/lib64/ld.so"),
        ("bin", "usr/bin"),
        ("sbin/ip", "usr/sbin/ip"),
        ("library/x", "library/x"),
        ("usr/lib/x", "usr/lib/x"),
        ("opt/lib/x", "opt/lib/x"),
        ("etc/x", "etc/x"),
    ],
)
def test_only_the_merged_folders_move(path: str, expected: str) -> None:
    assert merged_path(path) == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([member("./lib/libz.so.1", b"z"), link("./lib/libz.so", "libz.so.1")],
         {"usr/lib/libz.so.1": b"z", "usr/lib/libz.so": "-> libz.so.1"}),
        ([folder("./lib/"), folder("./usr/lib/"), member("./lib/a", b"1"), member("./usr/lib/b", b"2")],
         {"usr/lib/a": b"1", "usr/lib/b": b"2"}),
        ([link("./sbin/halt", "/bin/systemctl")], {"usr/sbin/halt": "-> ../bin/systemctl"}),
        ([link("./lib/systemd/sudo.service", "/dev/null")],
         {"usr/lib/systemd/sudo.service": "-> ../../../dev/null"}),
        ([member("./bin/which", b"w"), link("./usr/bin/which", "/bin/which")],
         {"usr/bin/which": b"w"}),
        ([link("./usr/bin/which", "/bin/which"), member("./bin/which", b"w")],
         {"usr/bin/which": b"w"}),
        ([link("./bin", "usr/bin"), member("./usr/bin/a", b"1")], {"usr/bin/a": b"1"}),
        ([link("./usr/lib/a", "/lib/b"), second("./usr/share/a", "./usr/lib/a")],
         {"usr/lib/a": "-> b", "usr/share/a": "-> ../lib/b"}),
        ([member("./lib/a", b"1"), second("./usr/lib/b", "./lib/a")],
         {"usr/lib/a": b"1", "usr/lib/b": b"1"}),
        ([member("./usr/bin/su", b"1", mode=0o4755)], {"usr/bin/su": b"1"}),
    ],
    ids=["library", "both folders", "absolute", "masked", "compatible", "compatible, link first",
         "merged already", "hard link to a link", "hard link across", "set-user-ID"],
)  # fmt: skip
def test_a_package_has_the_paths_of_a_merged_system(
    tmp_path: Path, members: list[Member], expected: dict[str, object]
) -> None:
    assert unpacked(tmp_path, members) == expected


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([member("./lib/a", b"1"), member("./usr/lib/a", b"2")], "'usr/lib/a' twice"),
        ([link("./usr/a", "../../etc")], "leads out of the tree"),
        ([link("./usr/a", "/usr/b"), link("./usr/b", "/usr/a")], "in circles"),
        ([link("./usr/a", "/etc"), member("./usr/a/x", b"")], "goes through 'usr/a', a link"),
        ([member("./lib/../x", b"")], "would leave the tree"),
    ],
)
def test_what_no_system_can_have_is_refused(
    tmp_path: Path, members: list[Member], message: str
) -> None:
    with pytest.raises(UnfitSourceError, match=message):
        unpacked(tmp_path, members)


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_other_sources_are_unpacked_like_a_package_for_a_system_and_else_as_they_are(
    tmp_path: Path, kind: str
) -> None:
    source = tmp_path / "source"
    if kind == "folder":
        (source / "lib").mkdir(parents=True)
        (source / "lib/a").write_bytes(b"1")
    else:
        source.write_bytes(tar_bytes([member("./lib/a", b"1")]))
    unpack_source(source, tmp_path / "own")
    unpack_source(source, tmp_path / "system", system=True)
    assert (tmp_path / "own/lib/a").is_file()
    assert list(tree_of(tmp_path / "system")) == ["usr", "usr/lib", "usr/lib/a"]
    if kind == "folder":
        (source / "lib/b").symlink_to("/etc/b")
        with pytest.raises(UnfitSourceError, match="leads out of the tree"):
            unpack_source(source, tmp_path / "refused")
        unpack_source(source, tmp_path / "linked", system=True)
        assert os.readlink(tmp_path / "linked/usr/lib/b") == "../../etc/b"


def test_a_device_reads_its_own_links_as_the_baseline_has_them(tmp_path: Path) -> None:
    absolute, relative = tmp_path / "absolute", tmp_path / "relative"
    absolute.symlink_to("/usr/lib/os-release")
    relative.symlink_to("x")
    names = tuple(str(path).lstrip("/") for path in (absolute, relative))
    absolute_entry, relative_entry = BaseSystem(SystemExtensions()).read("/", names).entries
    assert absolute_entry.target == relative_target(names[0], "/usr/lib/os-release")
    assert (absolute.parent / absolute_entry.target).resolve() == absolute.resolve()
    assert relative_entry.target == "x"


def test_a_package_becomes_a_baseline_of_its_system(tmp_path: Path) -> None:
    vendor = Vendor(tmp_path)
    deb = tmp_path / "z.deb"
    deb.write_bytes(deb_bytes([member("./lib/libz.so.1", b"z"), link("./lib/a", "/usr/lib/b")]))
    source = ComponentSource("zlib", deb)
    system = System("debian", "12")
    baseline = vendor.publisher.add_baseline(Release("acme-os", NAME, (source,), system))
    assert [entry.path for entry in baseline.components[0].entries] == [
        "usr", "usr/lib", "usr/lib/a", "usr/lib/libz.so.1",
    ]  # fmt: skip
