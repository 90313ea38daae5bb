"""A small vendor with its repository, for tests: real files, real signatures."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from pathlib import Path

from repoint.fs.removal import remove_tree
from repoint.model.advisory import Advisory, Fix
from repoint.model.baseline import BaselineName
from repoint.model.improvement import Improvement
from repoint.model.system import System
from repoint.publisher.baselines import ComponentSource, add_baseline
from repoint.publisher.catalogs import withdraw
from repoint.publisher.improve import Built, improve
from repoint.publisher.publish import publish
from repoint.repository.repository import Repository

Files = dict[str, str | bytes]
PLATFORM = "linux-x86_64"
NAME = BaselineName(PLATFORM, "26.3.1", "25D2128")

_numbers = itertools.count(1)


def big(seed: int, size: int = 40_000) -> bytes:
    """Bytes that do not compress, always the same for one seed."""
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
    """Write files, over whatever stands there."""
    remove_tree(root)
    root.mkdir(parents=True)
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
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


@dataclass
class Vendor:
    """A vendor with one product."""

    folder: Path
    product: str = "acme-kiosk"
    clock: itertools.count = field(default_factory=lambda: itertools.count(1_700_000_000))  # type: ignore[type-arg]

    def __post_init__(self) -> None:
        self.repository = Repository.create(self.folder / "repository", passphrase=None)

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
        **living: object,
    ) -> None:
        sources = [
            ComponentSource(component, self.source(files), **living)  # type: ignore[arg-type]
            for component, files in (components or {"engine": OLD}).items()
        ]
        add_baseline(
            self.repository, self.product, name, sources,
            passphrases=no_passphrase, new_passphrase=lambda: None, created=next(self.clock),
            system=system,
        )  # fmt: skip

    def improve(
        self,
        components: dict[str, Files] | None = None,
        *cves: str,
        name: BaselineName = NAME,
        letter: str | None = None,
        told: Advisory | None = None,
    ) -> Built:
        fixed = components or {"engine": FIXED}
        return improve(
            self.repository, self.product, name,
            {component: self.source(files) for component, files in fixed.items()},
            told or advisory(*cves, component=next(iter(fixed))),
            letter=letter, created=next(self.clock),
        )  # fmt: skip

    def publish(self) -> list[Improvement]:
        return publish(
            self.repository, self.product, passphrases=no_passphrase, now=next(self.clock)
        )

    def release(
        self, components: dict[str, Files] | None = None, *cves: str, **named: object
    ) -> Improvement:
        self.improve(components, *cves, **named)  # type: ignore[arg-type]
        return self.publish()[-1]

    def withdraw(self, letter: str, reason: str = "it crashes") -> None:
        withdraw(
            self.repository, self.product, NAME.version, letter,
            reason=reason, passphrases=no_passphrase, now=next(self.clock),
        )  # fmt: skip
