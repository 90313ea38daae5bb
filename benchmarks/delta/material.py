"""The material of real pairs: fetched by pip, unpacked, and paired as the publisher does."""

from __future__ import annotations

import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.delta.pairs import Pair
from benchmarks.measuring import run
from repoint.publisher.improve.layers import layer_between
from repoint.tree.scan import scan_tree

_ELF = b"\x7fELF"


@dataclass(frozen=True)
class ChangedFile:
    """A file that a patch must give, and the old file that it is made from, if there is one."""

    name: str
    old: Path | None
    new: Path

    @property
    def code(self) -> bool:
        """Whether both are ELF files."""
        return self.old is not None and _is_elf(self.old) and _is_elf(self.new)

    @property
    def size(self) -> int:
        """Bytes of the new file."""
        return self.new.stat().st_size

    @property
    def larger(self) -> int:
        """Bytes of the larger file."""
        return max(self.size, self.old.stat().st_size if self.old else 0)


def changed_files(pair: Pair, cache: Path) -> list[ChangedFile]:
    """Fetch both releases where they are not at hand, and find what changed.

    Raises:
        SystemExit: pip cannot fetch one.
    """
    old, new = (_wheel(pair, version, cache / "wheels") for version in (pair.old, pair.new))
    if pair.packed:
        return [ChangedFile(new.name, old, new)]
    before, after = _unpacked(old, cache), _unpacked(new, cache)
    comparison = layer_between(before, scan_tree(before), after, scan_tree(after))
    return [
        ChangedFile(c.entry.path, before / c.source if c.source else None, after / c.entry.path)
        for c in comparison.needing_content
    ]


def _wheel(pair: Pair, version: str, folder: Path) -> Path:
    place = folder / f"{pair.package}-{version}-{pair.machine}"
    if not any(place.glob("*.whl")):
        part = place.with_name(f"{place.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        tags = [each for tag in pair.platforms for each in ("--platform", tag)]
        # Named in full, so that any interpreter measures the same files.
        run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
             "--disable-pip-version-check", "--only-binary", ":all:", *tags,
             "--python-version", "3.11", "--abi", "cp311", "--abi", "abi3", "--abi", "none",
             "--dest", part, f"{pair.package}=={version}"])  # fmt: skip
        part.rename(place)
    return next(place.glob("*.whl"))


def _unpacked(wheel: Path, cache: Path) -> Path:
    place = cache / "trees" / wheel.parent.name
    if not place.is_dir():
        part = place.with_name(f"{place.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(part)
        part.rename(place)
    return place


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == _ELF
