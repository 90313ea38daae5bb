"""A vendor whose improvements are in every state, and what the world is told of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

from repoint.model.advisory import Advisory, Fix
from repoint.model.baseline import About, BaselineName
from repoint.publisher.catalog.catalogs import Selection
from repoint.publisher.feeds.announce import FOLDER, announced
from repoint.publisher.feeds.known.facts import KnownImprovement, read_facts
from tests.world import FIXED, OLD, Files, Vendor, no_passphrase

ADDRESS = "https://updates.acme.example/repo"
ABOUT = About(
    "Acme <Kiosk> & Co",
    "Acme Ltd",
    "security@acme.example",
    support="https://help.acme.example",
    components={"engine": "The <engine>"},
)
OTHER = BaselineName("linux-aarch64", "26.3.0", "25D2000")
"""A baseline that has only the shell."""

SHELL: Files = {"bin/kiosk": "#!/bin/sh\n"}
HOSTILE = Advisory(
    "Security update for the <script>alert(1)</script> shell",
    (
        Fix(
            cves=(),
            component="shell",
            impact='A local user may read what "another" user typed <img src=x onerror=alert(1)>',
            description="A fault in the handling of input\nwas addressed. ]]> \uffff \u2800 &amp;",
            credit="Jane <b>Doe</b> of Example Labs",
            url="https://acme.example/a?b=1&c=2",
        ),
        Fix(("CVE-2026-1000",), "shell", "The shell may be left", "The lock was *mended*."),
    ),
)
MANY = Advisory(
    "Security update for the engine",
    tuple(
        Fix(tuple(f"CVE-2026-{i}{n:03}" for n in range(9)), "engine", f"Impact {i}", "Mended.")
        for i in (2, 3)
    ),
)

SCHEMAS = Path(__file__).with_name("schemas")


def vendor_of_all_states(folder: Path) -> Vendor:
    """Letter (a) is withdrawn, (b) is offered and urgent, (c) is halted and (d) is paused."""
    vendor = Vendor(folder)
    vendor.baseline({"engine": OLD, "shell": SHELL}, about=ABOUT)
    vendor.baseline({"shell": SHELL}, name=OTHER, about=ABOUT)
    serve_at(vendor, ADDRESS)
    vendor.release(None, "CVE-2023-4863", "CVE-2026-1000")
    vendor.improve({"shell": {"bin/kiosk": "#!/bin/sh -e\n"}}, texts=HOSTILE)
    vendor.publisher.publish(vendor.product, urgency="exploited")
    vendor.withdraw("a", "Breaks <printing>")
    vendor.release({"engine": {**FIXED, "main.py": "VERSION = 'newer'\n"}}, texts=MANY)
    rollouts = vendor.publisher.rollouts
    rollouts.halt(Selection(vendor.product, "26.3.1 (c)"), reason="Fails on 3 % of devices")
    vendor.release({"engine": {**FIXED, "main.py": "VERSION = 'newest'\n"}}, "CVE-2026-4000")
    rollouts.pause(Selection(vendor.product, "26.3.1 (d)"))
    return vendor


def serve_at(vendor: Vendor, address: str) -> None:
    with announced(vendor.repository, no_passphrase) as publication:
        publication.serve_at(address)


@dataclass(frozen=True)
class Told:
    """What the world is told by a vendor."""

    vendor: Vendor

    @property
    def folder(self) -> Path:
        return self.vendor.public / FOLDER

    def files(self) -> dict[str, bytes]:
        """Every file, by its path."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def json(self, path: str) -> Any:
        return msgspec.json.decode((self.folder / path).read_bytes())

    @functools.cached_property
    def improvements(self) -> dict[str, KnownImprovement]:
        return {each.letter: each for each in read_facts(self.vendor.repository).improvements}

    def page(self, letter: str) -> Path:
        return self.folder / f"improvements/{self.improvements[letter].id}.html"


def faults(schema: str, document: object) -> list[str]:
    """Return what a schema finds wrong."""
    return [
        f"{error.instance_path}: {error.message}"
        for error in _validator(schema).iter_errors(document)
    ]


@functools.cache
def _validator(name: str) -> Any:
    registry: Any = jsonschema_rs.Registry(_resources(), draft=jsonschema_rs.Draft202012)
    schema = msgspec.json.decode((SCHEMAS / name).read_bytes())
    return jsonschema_rs.Draft202012Validator(schema, registry=registry, validate_formats=True)


def _resources() -> list[tuple[str, Any]]:
    csaf = msgspec.json.decode((SCHEMAS / "csaf.json").read_bytes())
    # The feeds have no scores.
    scores = {f"https://www.first.org/cvss/cvss-v{n}.json": True for n in ("2.0", "3.0", "3.1")}
    return [(csaf["$id"], csaf), *scores.items()]
