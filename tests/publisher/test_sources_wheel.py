from __future__ import annotations

import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from repoint.publisher.ingest import unpack_source
from repoint.publisher.ingest.errors import UnfitSourceError
from tests.publisher.sources_support import record_line, tree_of, write_wheel

FILES = {
    "pkg/__init__.py": b"",
    "pkg/_native.so": b"\x7fELF native",
    "pkg/datei mit, komma.txt": "ä".encode(),
    "pkg-1.0.data/purelib/pure.py": b"pure = 1\n",
    "pkg-1.0.data/platlib/pkg/plat.py": b"plat = 1\n",
    "pkg-1.0.data/scripts/tool": b"#!/bin/sh\n",
    "pkg-1.0.data/data/share/doc/pkg.txt": b"doc\n",
    "pkg-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n",
}
MODES = {
    "pkg/_native.so": stat.S_IFREG | 0o700,
    "pkg-1.0.data/scripts/tool": stat.S_IFREG | 0o775,
    "pkg/__init__.py": stat.S_IFREG | 0o600,
}


def name_of(tmp_path: Path) -> Path:
    return tmp_path / "pkg-1.0-py3-none-any.whl"


def quoted(path: str) -> str:
    return f'"{path}"' if "," in path else path


def good_record() -> str:
    every = {**FILES, "pkg-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n"}
    lines = [
        record_line("@", content).replace("@", quoted(path)) for path, content in every.items()
    ]
    return "".join(lines) + "pkg-1.0.dist-info/RECORD,,\n"


def refusal(wheel: Path) -> str:
    with pytest.raises(UnfitSourceError) as caught:
        unpack_source(wheel, wheel.parent / "tree")
    assert [path.name for path in wheel.parent.iterdir()] == [wheel.name]
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_wheel_is_unpacked_as_it_lies_in_site_packages(tmp_path: Path) -> None:
    wheel = write_wheel(name_of(tmp_path), FILES, modes=MODES, record=good_record())
    unpack_source(wheel, tmp_path / "tree")
    found = {path for path, content in tree_of(tmp_path / "tree").items() if content is not None}
    assert found == {
        "bin/tool",
        "pkg-1.0.dist-info/METADATA",
        "pkg-1.0.dist-info/RECORD",
        "pkg-1.0.dist-info/WHEEL",
        "pkg/__init__.py",
        "pkg/_native.so",
        "pkg/datei mit, komma.txt",
        "pkg/plat.py",
        "pure.py",
        "share/doc/pkg.txt",
    }
    modes = {path: (tmp_path / "tree" / path).stat().st_mode & 0o7777 for path in found}
    assert {path for path, mode in modes.items() if mode == 0o755} == {"bin/tool", "pkg/_native.so"}
    assert set(modes.values()) == {0o755, 0o644}


def test_pip_makes_the_same_tree(tmp_path: Path) -> None:
    wheel = write_wheel(name_of(tmp_path), FILES, modes=MODES, record=good_record())
    unpack_source(wheel, tmp_path / "tree")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    pip += ["--no-index", "--no-deps"]
    subprocess.run(
        [*pip, "--no-compile", "--target", tmp_path / "pip", wheel],
        check=True,
        umask=0o022,
    )
    ours, pips = tree_of(tmp_path / "tree"), tree_of(tmp_path / "pip")
    added = {f"pkg-1.0.dist-info/{name}" for name in ("INSTALLER", "REQUESTED", "direct_url.json")}
    rewritten = "pkg-1.0.dist-info/RECORD"
    assert pips.keys() - ours.keys() == added
    assert {path for path in ours if ours[path] != pips.get(path)} == {rewritten}
    for path in ours:
        assert (tmp_path / "tree" / path).stat().st_mode == (tmp_path / "pip" / path).stat().st_mode


def test_the_times_of_the_archive_are_kept(tmp_path: Path) -> None:
    unpack_source(write_wheel(name_of(tmp_path), {"a.py": b""}), tmp_path / "tree")
    assert (tmp_path / "tree/a.py").stat().st_mtime == 1_694_773_230


def test_a_wheel_is_recognised_whatever_its_name(tmp_path: Path) -> None:
    unpack_source(write_wheel(tmp_path / "something", {"a.py": b"x"}), tmp_path / "tree")
    assert (tmp_path / "tree/a.py").read_bytes() == b"x"


@pytest.mark.parametrize("what", ["data", "nonsense"])
def test_a_part_without_a_place_is_refused(tmp_path: Path, what: str) -> None:
    wheel = write_wheel(name_of(tmp_path), {f"pkg-1.0.data/{what}": b""})
    assert "has no destination" in refusal(wheel)


@pytest.mark.parametrize(
    "path", ["../x", "/x", "pkg/../../x", "pkg-1.0.data/data/../x", "pkg-1.0.data/data//x"]
)
def test_a_path_that_leaves_the_tree_is_refused(tmp_path: Path, path: str) -> None:
    assert "would leave the tree" in refusal(write_wheel(name_of(tmp_path), {path: b""}))


def test_two_parts_that_merge_to_one_path_are_refused(tmp_path: Path) -> None:
    files = {"a.py": b"1", "pkg-1.0.data/purelib/a.py": b"2"}
    assert "'a.py' twice" in refusal(write_wheel(name_of(tmp_path), files))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(name_of(tmp_path), {"a.py": b"1"})
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("a.py", b"1")
    assert "a.py" in refusal(wheel)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_a_link_or_special_file_is_refused(tmp_path: Path, kind: int) -> None:
    wheel = write_wheel(name_of(tmp_path), {"a": b"b"}, modes={"a": kind | 0o777})
    assert "'a' is a link or a special file" in refusal(wheel)


def test_a_set_user_id_bit_is_dropped(tmp_path: Path) -> None:
    wheel = write_wheel(name_of(tmp_path), {"a": b""}, modes={"a": stat.S_IFREG | 0o6755})
    unpack_source(wheel, tmp_path / "tree")
    assert (tmp_path / "tree/a").stat().st_mode & 0o7777 == 0o755


WHEEL_LINE = record_line("pkg-1.0.dist-info/WHEEL", b"Wheel-Version: 1.0\n")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (record_line("a.py", b"evil"), "'a.py' differs from the wheel's RECORD"),
        (record_line("a.py", b"good").replace(",4", ",5"), "'a.py' differs from"),
        ("", "'a.py' is not in the wheel's RECORD"),
        (
            record_line("a.py", b"good") + record_line("b.py", b""),
            "'b.py' is in the wheel's RECORD",
        ),
        (record_line("a.py", b"good") * 2, "lists 'a.py' twice"),
        ("a.py,,\n", "no SHA-256 digest of 'a.py'"),
        ("a.py\n", "no SHA-256 digest of 'a.py'"),
        ("a.py,md5=1B2M2Y8AsgTpgAmY7PhCfg,0\n", "no SHA-256 digest of 'a.py'"),
        ("a.py,sha256=!!,4\n", "The line for 'a.py'"),
        ("a.py,sha256=AAAA,four\n", "The line for 'a.py'"),
        ('"a.py', "RECORD cannot be read"),
    ],
)
def test_a_record_that_does_not_match_is_refused(tmp_path: Path, record: str, message: str) -> None:
    wheel = write_wheel(name_of(tmp_path), {"a.py": b"good"}, record=WHEEL_LINE + record)
    assert message in refusal(wheel)


def test_an_archive_that_is_no_wheel_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(name_of(tmp_path), "w") as archive:
        archive.writestr("a/b", b"")
    assert "not a wheel" in refusal(name_of(tmp_path))
    with zipfile.ZipFile(name_of(tmp_path), "w") as archive:
        archive.writestr("a.dist-info/METADATA", b"")
    assert "has no a.dist-info/WHEEL" in refusal(name_of(tmp_path))
    with zipfile.ZipFile(name_of(tmp_path), "w"):
        pass
    assert "not a wheel" in refusal(name_of(tmp_path))


@pytest.mark.parametrize("version", ["2.0", "", "x"])
def test_a_wheel_of_an_unknown_format_is_refused(tmp_path: Path, version: str) -> None:
    wheel = write_wheel(name_of(tmp_path), {"a": b""}, wheel_version=version)
    assert "only 1.x is supported" in refusal(wheel)


@pytest.mark.parametrize("keep", [4, 100, 0.5, 0.99])
def test_a_truncated_wheel_is_refused(tmp_path: Path, keep: float) -> None:
    wheel = write_wheel(name_of(tmp_path), FILES, record=good_record())
    data = wheel.read_bytes()
    wheel.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    assert "corrupt or truncated" in refusal(wheel)


def test_a_changed_byte_in_a_wheel_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(name_of(tmp_path), {"a.py": bytes(range(256))})
    data = bytearray(wheel.read_bytes())
    data[100] ^= 1
    wheel.write_bytes(data)
    assert "corrupt or truncated" in refusal(wheel)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(name_of(tmp_path), {"a.py": b"x"})
    data = bytearray(wheel.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    wheel.write_bytes(data)
    assert "'a.py' is encrypted" in refusal(wheel)


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    wheel = write_wheel(name_of(tmp_path), {"a.pyXevil": b"x"})
    wheel.write_bytes(wheel.read_bytes().replace(b"a.pyXevil", b"a.py\0evil"))
    assert "contains the name" in refusal(wheel)
