"""A small vendor with its repository, for tests: real files, real signatures."""

from __future__ import annotations

import itertools
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict, Unpack

from repoint.fs.removal import remove_tree
from repoint.model.advisory import Advisory, Fix
from repoint.model.baseline import About, BaselineName, RestartScope
from repoint.model.improvement import Improvement
from repoint.model.system import System
from repoint.model.version import label
from repoint.publisher.baselines import ComponentSource, Release
from repoint.publisher.catalog.claims import Corrections
from repoint.publisher.improve.improve import BuiltImprovement, ImprovementRequest
from repoint.publisher.publisher import Publisher
from repoint.repository.repository import Repository

Files = dict[str, str | bytes]
PLATFORM = "linux-x86_64"
NAME = BaselineName(PLATFORM, "26.3.1", "25D2128")

_numbers = itertools.count(1)


def big(seed: int, size: int = 40_000) -> bytes:
    """Incompressible bytes, always the same for one seed."""
    return random.Random(seed).randbytes(size)


OLD: Files = {
    "lib/engine.so": big(1),
    "lib/helper.so": big(2, 9_000),
    "share/readme": "hello\n",
    "main.py": "VERSION = 'old'\n",
    "late.py": "VERSION = 'old'\n",
}
FIXED: Files = {**OLD, "lib/engine.so": big(1)[:20_000] + b"fixed" + big(1)[20_000:],
                "main.py": "VERSION = 'new'\n", "late.py": "VERSION = 'new'\n"}  # fmt: skip


def write_tree(root: Path, files: Files) -> Path:
    """Write a tree of files, replacing what is there."""
    remove_tree(root)
    root.mkdir(parents=True)
    for path, content in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def advisory(*cves: str, component: str = "engine", title: str = "A security update") -> Advisory:
    fix = Fix(
        cves=tuple(cves) or ("CVE-2023-4863",),
        component=component,
        impact="Opening a picture may run an attacker's code",
        description="A buffer overflow was addressed.",
    )
    return Advisory(title=title, fixes=(fix,))


def no_passphrase(role: str) -> bytes:
    raise AssertionError(f"the key of {role} is not encrypted")


class Living(TypedDict, total=False):
    """What a component may say about its life: see `ComponentSource`."""

    restart: RestartScope
    health: tuple[str, ...]
    ignore: tuple[str, ...]


class Named(TypedDict, total=False):
    """What a test may say of an improvement: see `Vendor.improve`."""

    name: BaselineName
    letter: str | None
    texts: Advisory | None
    drop: tuple[str, ...]


@dataclass
class Vendor:
    """A vendor with one product."""

    folder: Path
    product: str = "acme-kiosk"
    clock: itertools.count[int] = field(default_factory=lambda: itertools.count(1_700_000_000))

    def __post_init__(self) -> None:
        folder = self.folder / "repository"
        if folder.exists():
            self.repository = Repository.open(folder)
        else:
            self.repository = Repository.create(folder, passphrase=None)

    def copied(self, folder: Path) -> Vendor:
        """Return a copy of this vendor, with the same keys, in another folder."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Vendor(folder, self.product, itertools.count(1_700_000_100))

    @property
    def publisher(self) -> Publisher:
        return Publisher(self.repository, passphrases=no_passphrase, clock=lambda: next(self.clock))

    @property
    def public(self) -> Path:
        return self.repository.public

    @property
    def root(self) -> bytes:
        return (self.public / "metadata/1.root.json").read_bytes()

    def source(self, files: Files) -> Path:
        return write_tree(self.folder / "sources" / str(next(_numbers)), files)

    def baseline(
        self,
        components: dict[str, Files] | None = None,
        *,
        name: BaselineName = NAME,
        system: System | None = None,
        about: About | None = None,
        icon: bytes = b"",
        **living: Unpack[Living],
    ) -> None:
        sources = [
            ComponentSource(component, self.source(files), **living)
            for component, files in (components or {"engine": OLD}).items()
        ]
        release = Release(self.product, name, tuple(sources), system, about, icon)
        self.publisher.add_baseline(release)

    def improve(
        self,
        components: dict[str, Files] | None = None,
        *cves: str,
        name: BaselineName = NAME,
        letter: str | None = None,
        texts: Advisory | None = None,
        drop: tuple[str, ...] = (),
    ) -> BuiltImprovement:
        fixed = components or {"engine": FIXED}
        sources = {component: self.source(files) for component, files in fixed.items()}
        fixes = texts or advisory(*cves, component=next(iter(fixed)))
        return self.improve_from(
            sources, fixes, name=name, letter=letter, corrections=Corrections(drop)
        )

    def improve_from(
        self,
        sources: dict[str, Path],
        fixes: Advisory,
        *,
        name: BaselineName = NAME,
        letter: str | None = None,
        corrections: Corrections | None = None,
    ) -> BuiltImprovement:
        """Build an improvement from folders that a test has made itself."""
        return self.publisher.improve(
            ImprovementRequest(
                self.product, name, sources, fixes, letter, corrections or Corrections()
            )
        )

    def publish(self) -> list[Improvement]:
        return self.publisher.publish(self.product)

    def release(
        self, components: dict[str, Files] | None = None, *cves: str, **named: Unpack[Named]
    ) -> Improvement:
        self.improve(components, *cves, **named)
        return self.publish()[-1]

    def withdraw(self, letter: str, reason: str = "it crashes") -> None:
        self.publisher.withdraw(self.product, label(NAME.version, letter), reason=reason)
