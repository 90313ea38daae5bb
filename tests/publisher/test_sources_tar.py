from __future__ import annotations

import io
import lzma
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repoint.delta.zstd import zstd
from repoint.publisher.ingest import compressed, unpack_source
from repoint.publisher.ingest.errors import UnfitSourceError
from repoint.publisher.ingest.limits import Limits
from tests.publisher.sources_support import PACKERS, Member, member, tar_bytes, tree_of

GOOD = (
    member("./", type=tarfile.DIRTYPE, mode=0o700),
    member("./lib/", type=tarfile.DIRTYPE, mode=0o555),
    member("./lib/libx.so.1", b"\x7fELF" + bytes(range(256)) * 4500, mode=0o755),
    member("./lib/libx.so", type=tarfile.SYMTYPE, linkname="libx.so.1"),
    member("./lib/again", type=tarfile.LNKTYPE, linkname="./lib/libx.so.1"),
    member("./Lib/LIBX.so.1", b"another case"),
    member("./bin/tool", b"#!", mode=0o4755),
)


def unpack(
    tmp_path: Path, data: bytes, name: str = "source.tar", *, limits: Limits | None = None
) -> Path:
    (tmp_path / name).write_bytes(data)
    unpack_source(tmp_path / name, tmp_path / "tree", limits=limits)
    return tmp_path / "tree"


def refusal(
    tmp_path: Path, data: bytes, name: str = "source.tar", *, limits: Limits | None = None
) -> str:
    with pytest.raises(UnfitSourceError) as caught:
        unpack(tmp_path, data, name, limits=limits)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("suffix", PACKERS)
def test_an_archive_becomes_the_tree_it_holds(tmp_path: Path, suffix: str) -> None:
    tree = unpack(tmp_path, PACKERS[suffix](tar_bytes(GOOD)), f"source.tar{suffix}")
    library = GOOD[2][1]
    assert tree_of(tree) == {
        "Lib": None,
        "Lib/LIBX.so.1": b"another case",
        "bin": None,
        "bin/tool": b"#!",
        "lib": None,
        "lib/again": library,
        "lib/libx.so": "-> libx.so.1",
        "lib/libx.so.1": library,
    }


def test_modes_and_times_are_the_archives_own(tmp_path: Path) -> None:
    tree = unpack(tmp_path, tar_bytes(GOOD))
    modes = {name: (tree / name).stat().st_mode & 0o7777 for name in ("lib", "bin", "bin/tool")}
    assert modes == {"lib": 0o555, "bin": 0o755, "bin/tool": 0o4755}
    assert (tree / "lib/libx.so.1").stat().st_mode & 0o7777 == 0o755
    for name in ("lib", "bin/tool"):
        assert (tree / name).stat().st_mtime == 1_700_000_000
    assert (tree / "lib/libx.so").lstat().st_mtime == 1_700_000_000
    assert tree.stat().st_mode & 0o7777 == 0o755


def test_the_content_says_what_it_is_whatever_the_name(tmp_path: Path) -> None:
    tree = unpack(tmp_path, PACKERS[".zst"](tar_bytes(GOOD)), "source.tar.gz")
    assert (tree / "bin/tool").read_bytes() == b"#!"


def test_an_archive_without_the_mark_is_recognised_by_its_name(tmp_path: Path) -> None:
    header = bytearray(tar_bytes([member("a")]))
    header[257:265] = bytes(8)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    assert tree_of(unpack(tmp_path, bytes(header))) == {"a": b"content"}


def test_several_compressed_streams_and_padding_are_read_to_the_end(tmp_path: Path) -> None:
    data, gz = tar_bytes(GOOD), PACKERS[".gz"]
    tree = unpack(tmp_path, gz(data[:7000]) + gz(data[7000:]) + bytes(9000), "source.tar.gz")
    assert (tree / "bin/tool").read_bytes() == b"#!"


def test_an_absurd_time_is_left_out(tmp_path: Path) -> None:
    headers = {"mtime": "nan"}
    tree = unpack(tmp_path, tar_bytes([member("a", pax_headers=headers), member("b", mtime=1e30)]))
    assert all((tree / name).stat().st_mtime > 1_700_000_000 for name in "ab")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "a//x", "a/./x", "..", ".//x", ""])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_path_that_leaves_the_tree_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    data = tar_bytes([member("a"), member(name, type=kind, linkname="a")])
    assert "would leave the tree" in refusal(tmp_path, data)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["..", ".", "", "a", "b", "\udcff", "c\n"]), min_size=1))
def test_whatever_the_path_nothing_lands_outside(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    outer = tmp_path_factory.mktemp("outer")
    (outer / "source.tar").write_bytes(tar_bytes([member("/".join(parts)), member("sure")]))
    try:
        unpack_source(outer / "source.tar", outer / "tree")
        expected = {"source.tar", "tree"}
    except UnfitSourceError:
        expected = {"source.tar"}
    assert {path.name for path in outer.iterdir()} == expected


def test_a_path_through_a_link_is_refused(tmp_path: Path) -> None:
    members = [member("a", type=tarfile.SYMTYPE, linkname="."), member("a/b")]
    assert "'a/b' goes through 'a', a link" in refusal(tmp_path, tar_bytes(members))


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    assert "goes through 'a', a file" in refusal(tmp_path, tar_bytes([member("a"), member("a/b")]))


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "b/../../x", ""])
def test_a_link_out_of_the_tree_is_refused(tmp_path: Path, target: str) -> None:
    data = tar_bytes([member("f"), member("a", type=tarfile.SYMTYPE, linkname=target)])
    assert "'a' leads out of the tree" in refusal(tmp_path, data)


def test_a_link_out_of_the_tree_by_way_of_another_link_is_refused(tmp_path: Path) -> None:
    members = [
        member("f"),
        member("a/up", type=tarfile.SYMTYPE, linkname=".."),
        member("b", type=tarfile.SYMTYPE, linkname="a/up/.."),
    ]
    assert "'b' leads out of the tree or in circles" in refusal(tmp_path, tar_bytes(members))


def test_a_link_to_nowhere_inside_stays_a_link(tmp_path: Path) -> None:
    link = member("a/b", type=tarfile.SYMTYPE, linkname="../not/here")
    tree = unpack(tmp_path, tar_bytes([member("f"), link]))
    assert tree_of(tree)["a/b"] == "-> ../not/here"


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    links = {"a": "b", "b": "c/x", "c": "a"}
    members = [member(n, type=tarfile.SYMTYPE, linkname=t) for n, t in links.items()]
    assert "or in circles" in refusal(tmp_path, tar_bytes([member("f"), *members]))


def test_a_link_whose_target_is_no_text_is_refused(tmp_path: Path) -> None:
    members = [member("f"), member("a", type=tarfile.SYMTYPE, linkname="\udcff")]
    assert "not valid UTF-8" in refusal(tmp_path, tar_bytes(members))


@pytest.mark.parametrize("original", ["missing", "folder"])
def test_a_hard_link_to_no_earlier_file_is_refused(tmp_path: Path, original: str) -> None:
    members = [
        member("f"),
        member("folder", type=tarfile.DIRTYPE),
        member("a", type=tarfile.LNKTYPE, linkname=original),
    ]
    assert "not an earlier file" in refusal(tmp_path, tar_bytes(members))


def test_a_hard_link_to_a_link_is_a_second_link(tmp_path: Path) -> None:
    members = [
        member("folder/f"),
        member("link", type=tarfile.SYMTYPE, linkname="folder/f"),
        member("folder/link", type=tarfile.LNKTYPE, linkname="link"),
    ]
    (tmp_path / "x.tar").write_bytes(tar_bytes(members))
    unpack_source(tmp_path / "x.tar", tmp_path / "tree")
    assert tree_of(tmp_path / "tree")["folder/link"] == "-> folder/f"


def test_a_hard_link_to_a_link_that_leads_out_from_there_is_refused(tmp_path: Path) -> None:
    members = [
        member("folder/f"),
        member("folder/link", type=tarfile.SYMTYPE, linkname="../folder/f"),
        member("link", type=tarfile.LNKTYPE, linkname="folder/link"),
    ]
    assert "leads out of the tree" in refusal(tmp_path, tar_bytes(members))


@pytest.mark.parametrize("original", ["../f", "/f"])
def test_a_hard_link_to_a_file_outside_is_refused(tmp_path: Path, original: str) -> None:
    members = [member("f"), member("a", type=tarfile.LNKTYPE, linkname=original)]
    assert "would leave the tree" in refusal(tmp_path, tar_bytes(members))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
def test_a_member_of_no_known_type_is_refused(tmp_path: Path, kind: bytes) -> None:
    message = refusal(tmp_path, tar_bytes([member("f"), member("a", b"", type=kind)]))
    assert "'a' is a device, a pipe or of an unknown type" in message


@pytest.mark.parametrize(
    "second",
    [
        member("./a/b"),
        member("a/b", type=tarfile.DIRTYPE),
        member("a/b", type=tarfile.SYMTYPE, linkname="c"),
        member("a", type=tarfile.SYMTYPE, linkname="c"),
        member("a"),
    ],
)
def test_a_path_that_comes_twice_is_refused(tmp_path: Path, second: Member) -> None:
    assert "twice" in refusal(tmp_path, tar_bytes([member("a/b"), second]))


def test_a_folder_that_comes_twice_is_refused(tmp_path: Path) -> None:
    folder = member("a", type=tarfile.DIRTYPE)
    assert "'a' twice" in refusal(tmp_path, tar_bytes([member("a/b"), folder, folder]))


@pytest.mark.parametrize("members", [(), (member("a", type=tarfile.DIRTYPE),)])
def test_an_archive_without_a_file_is_refused(tmp_path: Path, members: tuple[Member, ...]) -> None:
    assert "contains no file" in refusal(tmp_path, tar_bytes(members))


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.97])
def test_a_truncated_archive_is_refused(tmp_path: Path, suffix: str, keep: float) -> None:
    content = [member(f"f{n}", os.urandom(20_000)) for n in range(3)]
    data = tar_bytes(content)
    # Without the padding, so that the end that is cut off says something.
    data = PACKERS[suffix](data[: len(data.rstrip(b"\0")) // 512 * 512 + 1536])
    cut = data[: 300 + int(keep * (len(data) - 300))]
    assert "truncated" in refusal(tmp_path, cut, f"source.tar{suffix}")


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_a_stream_that_lacks_only_its_checksum_is_refused(tmp_path: Path, suffix: str) -> None:
    data = PACKERS[suffix](tar_bytes(GOOD))[:-2]
    assert "truncated" in refusal(tmp_path, data, f"source.tar{suffix}")


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_a_changed_byte_in_a_compressed_archive_is_refused(tmp_path: Path, suffix: str) -> None:
    data = bytearray(PACKERS[suffix](tar_bytes([member("a", os.urandom(3000))])))
    data[len(data) // 2] ^= 0x10
    assert "corrupt" in refusal(tmp_path, bytes(data), f"source.tar{suffix}")


def test_a_broken_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    data = bytearray(tar_bytes([member("a"), member("b")]))
    data[1024] ^= 1
    assert "corrupt" in refusal(tmp_path, bytes(data))


def test_a_compressed_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    assert "corrupt" in refusal(tmp_path, PACKERS[".gz"](b"only text\n" * 90), "notes.gz")


def test_bytes_after_a_compressed_stream_are_refused(tmp_path: Path) -> None:
    data = PACKERS[".xz"](tar_bytes(GOOD)) + b"more than that"
    assert "corrupt" in refusal(tmp_path, data, "source.tar.xz")


@pytest.mark.parametrize("form", ["gnu", "posix 0.0", "posix 0.1", "posix 1.0"])
def test_a_sparse_file_keeps_its_content_and_its_holes(tmp_path: Path, form: str) -> None:
    kind, _, version = form.partition(" ")
    (tmp_path / "source").mkdir()
    with (tmp_path / "source/image").open("wb") as file:
        file.seek(10 << 20)
        file.write(b"data")
        file.truncate((20 << 20) + 5)
    command = ["tar", "--sparse", f"--format={kind}", "-C", str(tmp_path / "source")]
    command += [f"--sparse-version={version}"] if version else []
    subprocess.run([*command, "-cf", str(tmp_path / "x.tar"), "."], check=True)
    assert (tmp_path / "x.tar").stat().st_size < 1 << 20
    unpack_source(tmp_path / "x.tar", tmp_path / "tree")
    image = tmp_path / "tree/image"
    assert image.read_bytes() == (tmp_path / "source/image").read_bytes()
    assert image.stat().st_blocks * 512 <= 2 << 20


def test_a_sparse_file_may_not_exceed_the_limit(tmp_path: Path) -> None:
    headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 40)}
    (tmp_path / "x.tar").write_bytes(tar_bytes([member("a", pax_headers=headers)]))
    with pytest.raises(UnfitSourceError, match="unpacks to more than"):
        unpack_source(tmp_path / "x.tar", tmp_path / "tree", limits=Limits(total=1 << 20))


def test_zeros_become_holes_and_a_file_of_zeros_keeps_its_length(tmp_path: Path) -> None:
    content = bytes(3 << 20) + b"x" + bytes((1 << 20) + 7)
    (tmp_path / "x.tar").write_bytes(tar_bytes([member("a", content), member("z", bytes(4 << 20))]))
    unpack_source(tmp_path / "x.tar", tmp_path / "tree")
    assert (tmp_path / "tree/a").read_bytes() == content
    assert (tmp_path / "tree/z").read_bytes() == bytes(4 << 20)
    assert (tmp_path / "tree/z").stat().st_blocks == 0


def test_more_bytes_than_the_limit_are_refused(tmp_path: Path) -> None:
    data = PACKERS[".gz"](tar_bytes([member("a", bytes(5_000_000))]))
    message = refusal(tmp_path, data, limits=Limits(total=4_999_999))
    assert "more than 4,999,999 bytes" in message


def test_hard_links_count_like_the_file_they_name(tmp_path: Path) -> None:
    links = [member(f"l{n}", type=tarfile.LNKTYPE, linkname="a") for n in range(3)]
    data = tar_bytes([member("a", bytes(1000)), *links])
    assert "more than 3,999 bytes" in refusal(tmp_path, data, limits=Limits(total=3999))


def test_more_paths_than_the_limit_are_refused_implied_folders_included(tmp_path: Path) -> None:
    data = tar_bytes([member("a/b/c/d")])
    assert "more than 3 paths" in refusal(tmp_path, data, limits=Limits(entries=3))
    tree = unpack(tmp_path, data, limits=Limits(entries=4))
    assert len(tree_of(tree)) == 4


def test_headers_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    bomb = tar_bytes([member("a", pax_headers={"comment": "x" * 20_000_000})])
    assert "between two files" in refusal(tmp_path, PACKERS[".gz"](bomb), "source.tar.gz")


def test_long_headers_before_many_members_are_no_attack(tmp_path: Path) -> None:
    headers = {"comment": "x" * 3_000_000}
    links = [
        member(f"l{n}", type=tarfile.SYMTYPE, linkname="f", pax_headers=headers) for n in range(4)
    ]
    assert len(tree_of(unpack(tmp_path, tar_bytes([member("f"), *links])))) == 5


def test_endless_zeros_after_the_end_are_refused(tmp_path: Path) -> None:
    data = PACKERS[".gz"](tar_bytes(GOOD) + bytes(20_000_000))
    assert "between two files" in refusal(tmp_path, data, "source.tar.gz")


def test_headers_nested_without_end_are_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    for _ in range(4000):
        info = tarfile.TarInfo("x" * 200)
        out.write(info.tobuf(tarfile.GNU_FORMAT)[:1024])
    assert "corrupt" in refusal(tmp_path, out.getvalue())


def test_a_negative_size_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.size = -512
    data = info.tobuf(tarfile.GNU_FORMAT) + tar_bytes([member("b")])
    assert "negative size" in refusal(tmp_path, data)
    data = tar_bytes([member("a", pax_headers={"size": "-512"}), member("b")])
    assert "corrupt" in refusal(tmp_path, data)


def long_zstd(data: bytes, window_log: int) -> bytes:
    """What ``zstd --long`` writes to a pipe: the frame names a window, and no size."""
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: window_log,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(data[:1]) + compressor.compress(data[1:]) + compressor.flush()


@pytest.mark.parametrize("window_log", [27, 28, 29])
def test_a_window_that_a_quarter_of_the_memory_can_hold_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window_log: int
) -> None:
    monkeypatch.setattr(compressed, "memory_limit", lambda: 600 << 20)
    (tmp_path / "x.tar.zst").write_bytes(long_zstd(tar_bytes([member("a", b"b")]), window_log))
    unpack_source(tmp_path / "x.tar.zst", tmp_path / "tree")
    assert (tmp_path / "tree/a").read_bytes() == b"b"


@pytest.mark.parametrize("window_log", [30, 31])
def test_a_larger_window_is_refused_with_the_limit_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window_log: int
) -> None:
    monkeypatch.setattr(compressed, "memory_limit", lambda: 600 << 20)
    message = refusal(tmp_path, long_zstd(tar_bytes([member("a", b"b")]), window_log))
    assert "needs more memory than the 600 MiB" in message
    assert "zstd --long=27" in message


def test_an_xz_stream_with_a_larger_dictionary_is_refused_likewise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "memory_limit", lambda: 1 << 20)
    message = refusal(tmp_path, lzma.compress(tar_bytes([member("a", b"b")])))
    assert "needs more memory than the 1 MiB" in message


def test_a_decoder_gets_a_quarter_of_the_memory_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for memory, limit in ((1 << 28, 256 << 20), (8 << 30, 2 << 30), (1 << 40, 4 << 30)):
        sizes = {"SC_PHYS_PAGES": memory // 4096, "SC_PAGE_SIZE": 4096}
        monkeypatch.setattr(compressed.os, "sysconf", sizes.__getitem__)
        assert compressed.memory_limit() == limit
