"""What the machine runs: a library of the system, and an engine that is a tree of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from repoint.model.baseline import BaselineName
from repoint.publisher.baselines import ComponentSource, Release
from repoint.publisher.improve.improve import ImprovementRequest
from repoint.publisher.publisher import Publisher
from repoint.repository.repository import Repository
from repoint.tree.digest import seal_of
from repoint.tree.scan import scan_tree
from tests.machine.image import LIBRARY, library
from tests.world import Files, advisory, big, no_passphrase, write_tree

PRODUCT = "acme"
NAME = BaselineName("linux-x86_64", "1.0", "1")
OLD, A, B = "1.0", "1.0 (a)", "1.0 (b)"
ENGINE, CODEC = Path("/srv/acme/engine"), Path("/usr")
"""Where the components stand."""
_LIBRARY = LIBRARY.removeprefix("usr/")
LETTERS = {OLD: 1, A: 2, B: 3}
"""What the library answers in each release."""

_ENGINE: dict[str, Files] = {
    OLD: {"main.py": "VERSION = 1\n", "lib/a.so": big(1, 200_000), "lib/b.so": big(2, 90_000)},
    A: {"main.py": "VERSION = 2\n", "lib/a.so": big(1, 200_000), "lib/b-2.so": big(2, 90_000)[:-1],
        "lib/more/c.so": big(3, 60_000)},
    B: {"main.py": "VERSION = 3\n", "lib/a.so": big(1, 200_001), "lib/b-2.so": big(2, 90_000)[:-1]},
}  # fmt: skip


class Facts(msgspec.Struct, frozen=True):
    """What may stand on the machine.

    Attributes:
        seals: The seal of each component, by label.
        paths: The paths of the system's component, of all labels.
    """

    seals: dict[str, dict[str, str]]
    paths: tuple[str, ...]


def make_sources(folder: Path) -> dict[str, dict[str, Path]]:
    """The trees of each release, by label and component."""
    made: dict[str, dict[str, Path]] = {}
    for label, version in LETTERS.items():
        above = folder / f"sources/{version}"
        codec = write_tree(above / "codec", {_LIBRARY: library(folder, version).read_bytes()})
        if label == A:
            (codec / _LIBRARY).with_name("codec.conf").write_text("fast = no\n")
        made[label] = {"codec": codec, "engine": write_tree(above / "engine", _ENGINE[label])}
        (made[label]["engine"] / "current").symlink_to("main.py")
    return made


def facts(sources: dict[str, dict[str, Path]]) -> Facts:
    """What follows from the trees."""
    entries = {
        label: {c: scan_tree(tree) for c, tree in trees.items()} for label, trees in sources.items()
    }
    paths = {e.path for found in entries.values() for e in found["codec"]}
    return Facts(
        {label: {c: seal_of(e) for c, e in found.items()} for label, found in entries.items()},
        tuple(sorted(paths, key=lambda path: path.split("/"))),
    )


def publish_all(folder: Path, sources: dict[str, dict[str, Path]]) -> dict[str, Path]:
    """What is served once each letter was published, by its label."""
    place = folder / "repository"
    shutil.rmtree(place, ignore_errors=True)
    repository = Repository.create(place, passphrase=None)
    base = sources[OLD]
    components = [
        ComponentSource("codec", base["codec"], restart="service"),
        ComponentSource(
            "engine", base["engine"], restart="service", health=("test", "-e", "{tree}/main.py")
        ),
    ]
    publisher = Publisher(repository, passphrases=no_passphrase)
    publisher.add_baseline(Release(PRODUCT, NAME, tuple(components)))
    served = {}
    for label in (A, B):
        fixes = advisory(f"CVE-2026-000{LETTERS[label]}", component="codec")
        publisher.improve(ImprovementRequest(PRODUCT, NAME, sources[label], fixes))
        publisher.publish(PRODUCT)
        served[label] = folder / f"served-{LETTERS[label]}"
        shutil.rmtree(served[label], ignore_errors=True)
        shutil.copytree(repository.public, served[label], symlinks=True)
    return served
