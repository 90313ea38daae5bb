"""Wheels as installers leave them: what they write is ignored, and everything else is sealed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from repoint.publisher.baselines import ComponentSource, Release
from repoint.publisher.ingest import unpack_source
from repoint.publisher.ingest.errors import UnfitSourceError
from repoint.publisher.ingest.installers import entry_point_scripts, written_by_installers
from repoint.publisher.ingest.limits import Limits
from repoint.tree.compare import compare_trees
from repoint.tree.scan import ALWAYS_IGNORED, is_ignored, scan_tree
from tests.publisher.sources_support import write_wheel
from tests.world import NAME, Vendor

INFO = "pkg-1.0.dist-info"
METADATA = {f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\n"}
POINTS = b"[console_scripts]\npkg = pkg:main\npkg-admin=pkg:admin [extra]\n[gui_scripts]\nPkgUI = pkg:ui\n"
BINARY = {"pkg-1.0.data/scripts/native": b"\x7fELF native"}
KINDS: dict[str, dict[str, bytes]] = {
    "pure": {"pkg.py": b"x = 1\n"},
    "entry points": {"pkg/__init__.py": b"", f"{INFO}/entry_points.txt": POINTS},
    "other entry points": {"pkg.py": b"", f"{INFO}/entry_points.txt": b"[pytest11]\na = pkg\n"},
    "binary script": {"pkg.py": b"", **BINARY},
    "python script": {"pkg.py": b"", "pkg-1.0.data/scripts/run": b"#!python\nimport pkg\n"},
    "windowed script": {"pkg.py": b"", "pkg-1.0.data/scripts/run": b"#!pythonw\nimport pkg\n"},
    "all scripts": {
        "pkg.py": b"", **BINARY, "pkg-1.0.data/scripts/run": b"#!python\n",
        "pkg-1.0.data/scripts/sh": b"#!/bin/sh\n", f"{INFO}/entry_points.txt": POINTS,
    },
    "headers": {"pkg.py": b"", "pkg-1.0.data/headers/pkg.h": b"//", "pkg-1.0.data/headers/a/b.h": b""},
    "data": {"pkg.py": b"", "pkg-1.0.data/data/share/pkg/a.txt": b"a", "pkg-1.0.data/data/etc/b": b""},
    "data in bin and include": {
        "pkg.py": b"", "pkg-1.0.data/data/bin/tool": b"t", "pkg-1.0.data/data/include/own.h": b"o",
        "pkg-1.0.data/headers/pkg.h": b"//", f"{INFO}/entry_points.txt": POINTS,
    },
    "folders of these names further down": {
        "pkg/bin/tool": b"t", "pkg/include/a.h": b"h", "pkg/.lock": b"l",
        f"{INFO}/entry_points.txt": POINTS, "pkg-1.0.data/headers/pkg.h": b"//",
    },
    "empty files and licences": {"pkg/__init__.py": b"", f"{INFO}/licenses/LICENSE": b"", "a.pth": b""},
}  # fmt: skip


def wheel_of(tmp_path: Path, kind: str) -> Path:
    modes = {name: stat.S_IFREG | 0o755 for name in KINDS[kind] if "/scripts/" in name}
    path = tmp_path / "pkg-1.0-py3-none-any.whl"
    return write_wheel(path, {**KINDS[kind], **METADATA}, modes=modes)


def installer(name: str, wheel: Path, into: Path) -> list[str | Path]:
    if name == "uv":
        folders = (Path(sys.executable).parent, os.environ["PATH"])
        program = shutil.which("uv", path=os.pathsep.join(map(str, folders)))
        if program is None:
            pytest.skip("uv is not installed")
        return [program, "pip", "install", "--quiet", "--no-deps", "--offline", "--no-cache",
                "--target", into, wheel]  # fmt: skip
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
            "--no-index", "--no-deps", "--no-compile", "--target", into, wheel]  # fmt: skip


def differences(wheel: Path, site: Path, tree: Path) -> list[str]:
    ignored = (*ALWAYS_IGNORED, *unpack_source(wheel, tree))
    return list(
        map(str, compare_trees(scan_tree(tree, ignore=ignored), scan_tree(site, ignore=ignored)))
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pip", "uv"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_that_an_installer_fills_is_the_baseline(
    tmp_path: Path, kind: str, name: str
) -> None:
    wheel = wheel_of(tmp_path, kind)
    site = tmp_path / "site"
    subprocess.run(installer(name, wheel, site), check=True, umask=0o022)
    assert differences(wheel, site, tmp_path / "tree") == []


FOREIGN_TO_SITE_PACKAGES = {"binary script", "all scripts", "data", "data in bin and include"}
"""Kinds with files of which a virtual environment has the place outside of site-packages."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in FOREIGN_TO_SITE_PACKAGES])
def test_the_site_packages_of_an_environment_are_the_baseline(tmp_path: Path, kind: str) -> None:
    wheel = wheel_of(tmp_path, kind)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    pip += ["--python", str(tmp_path / "env/bin/python")]
    pip += ["install", "-q", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True, umask=0o022)
    (site,) = (tmp_path / "env/lib").glob("python*/site-packages")
    assert differences(wheel, site, tmp_path / "tree") == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_of_a_wheel_is_sealed_except_headers_and_python_scripts(
    tmp_path: Path, kind: str
) -> None:
    written = unpack_source(wheel_of(tmp_path, kind), tmp_path / "tree")
    sealed = {e.path for e in scan_tree(tmp_path / "tree", ignore=written) if e.kind == "file"}
    expected = set()
    for path, content in {**KINDS[kind], **METADATA}.items():
        place = path.removeprefix("pkg-1.0.data/").removeprefix("data/")
        if place.startswith("scripts/"):
            place = place.replace("scripts/", "bin/")
        if not place.startswith("headers/") and not content.startswith(b"#!python"):
            expected.add(place)
    assert sealed == expected | {f"{INFO}/WHEEL"}


def test_what_is_written_for_entry_points_is_ignored_only_at_the_top() -> None:
    patterns = written_by_installers(["pkg/bin/tool"], ["run"], "My_Pkg")
    for path in ("bin", "bin/run", "include/my-pkg/a.h", ".lock", "a.dist-info/uv_cache.json"):
        assert is_ignored(path, patterns), path
    for path in ("pkg/bin", "pkg/bin/run", "pkg/include", "pkg/.lock", "binary", "a/x/.lock"):
        assert not is_ignored(path, patterns), path


def test_only_the_scripts_themselves_are_ignored_next_to_files_of_the_wheel() -> None:
    patterns = written_by_installers(["bin/native", "include/own.h"], ["run", "a[1]"], "My_Pkg")
    for path in ("bin/run", "bin/a[1]", "include/My.Pkg/a.h", "include/site/python3.11/x"):
        assert is_ignored(path, patterns), path
    for path in ("bin", "bin/native", "bin/run2", "bin/a1", "include", "include/own.h"):
        assert not is_ignored(path, patterns), path


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"", ()),
        (POINTS, ("pkg", "pkg-admin", "PkgUI")),
        (b"[console_scripts]\r\na = b:c\r\n", ("a",)),
        (b"\xef\xbb\xbf[console_scripts]\na=b:c\n", ("a",)),
        (b"[console_scripts]\na=b:c\n[console_scripts]\na=b:c\nd = e:f\n", ("a", "d")),
        (b"[console_scripts]\npercent%(x)s = b:c\n", ("percent%(x)s",)),
        (b"# nothing\n[other]\na: b = c\n", ()),
    ],
)
def test_the_scripts_of_entry_points_are_read(text: bytes, names: tuple[str, ...]) -> None:
    assert entry_point_scripts(text) == names


@pytest.mark.parametrize("text", [b"a = b\n", b"\xff", b"[console_scripts\na=b\n"])
def test_entry_points_that_cannot_be_read_are_refused(tmp_path: Path, text: bytes) -> None:
    files = {"a.py": b"", f"{INFO}/entry_points.txt": text}
    wheel = write_wheel(tmp_path / "pkg-1.0-py3-none-any.whl", files)
    with pytest.raises(UnfitSourceError, match=r"entry_points\.txt cannot be read"):
        unpack_source(wheel, tmp_path / "tree")


def test_pip_has_a_script_for_each_version_of_python() -> None:
    patterns = written_by_installers(["bin/native"], ["pip", "pip3"], "")
    assert all(is_ignored(f"bin/{name}", patterns) for name in ("pip", "pip3", "pip3.11"))
    assert not is_ignored("bin/pipx", patterns)


def test_a_header_that_leaves_the_tree_is_refused(tmp_path: Path) -> None:
    files = {"a.py": b"", "pkg-1.0.data/headers/../../a.h": b"//"}
    wheel = write_wheel(tmp_path / "pkg-1.0-py3-none-any.whl", files)
    with pytest.raises(UnfitSourceError, match="would leave the tree"):
        unpack_source(wheel, tmp_path / "tree")


def test_a_header_that_differs_from_the_record_is_refused(tmp_path: Path) -> None:
    good = write_wheel(tmp_path / "good.whl", {"a.py": b"", "pkg-1.0.data/headers/a.h": b"//1"})
    bad = tmp_path / "bad.whl"
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(bad, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"//2" if name.endswith("a.h") else old.read(name))
    with pytest.raises(UnfitSourceError, match=r"a\.h' differs from the wheel's RECORD"):
        unpack_source(bad, tmp_path / "tree")


def test_a_wheel_is_known_by_its_content_when_its_ignored_files_are_chosen(tmp_path: Path) -> None:
    vendor = Vendor(tmp_path)
    wheel = wheel_of(tmp_path, "entry points").rename(tmp_path / "component")
    release = Release(vendor.product, NAME, (ComponentSource("pkg", wheel, ignore=("*.log",)),))
    (component,) = vendor.publisher.add_baseline(release).components
    assert "*.dist-info/RECORD" in component.ignore
    assert component.ignore[-1] == "*.log"
    assert is_ignored("bin/pkg", component.ignore)


def test_what_is_left_out_of_a_wheel_counts_towards_the_limits(tmp_path: Path) -> None:
    large = {"a.py": b"", "pkg-1.0.data/headers/a.h": bytes(5000), "pkg-1.0.data/headers/b.h": b""}
    wheel = write_wheel(tmp_path / "large.whl", large)
    for limits, message in ((Limits(total=4999), "4,999 bytes"), (Limits(entries=4), "4 paths")):
        with pytest.raises(UnfitSourceError, match=f"more than {message}"):
            unpack_source(wheel, tmp_path / "tree", limits=limits)
    unpack_source(wheel, tmp_path / "tree", limits=Limits(total=6000, entries=6))
