"""Trees for images, and what the system's own tools say of these."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st

from repoint.image.erofs import BLOCK, Image, Node
from repoint.image.verity import HashTree
from tests.mounts import private_mounts

CREATED = 1_700_000_000
IDENTITY = bytes(range(16))

_names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 255)
_sizes = st.sampled_from([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
_files = st.builds(
    lambda size, byte, mode: Node(stat.S_IFREG | mode, size, bytes([byte]) * size),
    _sizes, st.integers(0, 255), st.sampled_from([0o444, 0o555, 0o4555, 0o000]),
)  # fmt: skip
_links = st.builds(
    lambda target: Node(stat.S_IFLNK | 0o777, target=target),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300),
)
_others = st.one_of(_files, _links, st.just(Node(stat.S_IFCHR)))


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Node]:
    """Nodes of every kind, with their folders."""
    folders = [""]
    nodes: dict[str, Node] = {}
    for name in draw(st.lists(_names, max_size=30, unique=True)):
        above = draw(st.sampled_from(folders))
        path = f"{above}/{name}" if above else name
        if draw(st.booleans()):
            nodes[path] = Node(stat.S_IFDIR | draw(st.sampled_from([0o755, 0o700, 0o1777])))
            folders.append(path)
        else:
            nodes[path] = draw(_others)
    return nodes


def write(image: Image, folder: Path) -> tuple[Path, Path, str]:
    """The image and its tree as files, and the root hash."""
    tree = HashTree()
    raw, beside = folder / "layer.raw", folder / "layer.verity"
    with raw.open("wb") as file:
        for chunk in image.chunks():
            file.write(chunk)
            tree.update(chunk)
    beside.write_bytes(tree.file(IDENTITY))
    return raw, beside, tree.root_hash


def tool(name: str) -> str:
    """A program of the system; a test that needs it is skipped where it is missing."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"needs {name}")
    return found


@contextlib.contextmanager
def mounted(raw: Path) -> Iterator[Path]:
    """Mount an image for this thread only, and yield where."""
    folder = raw.with_name("mounted")
    folder.mkdir(exist_ok=True)
    with private_mounts():
        command = ["mount", "-t", "erofs", "-o", "loop,ro", str(raw), str(folder)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0 and "unknown filesystem" in result.stderr:
            pytest.skip("this kernel has no EROFS")
        assert result.returncode == 0, result.stderr
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)
