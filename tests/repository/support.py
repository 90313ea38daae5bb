"""A served folder and devices that read it with python-tuf's own client."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tuf.ngclient import Updater

SERVER = """
import sys
from pathlib import Path
from repoint.repository.serving import serve
serve(Path(sys.argv[1]), "127.0.0.1", 0, lambda url: print(url, flush=True))
"""


@dataclass
class Web:
    """A web server of its own process, and the folder it serves."""

    folder: Path
    url: str


@dataclass
class Device:
    """A client that keeps its trusted metadata between visits, as a device does."""

    home: Path
    url: str
    root: bytes

    def updater(self) -> Updater:
        """A client as it is after a start, with what it trusted before."""
        (self.home / "metadata").mkdir(parents=True, exist_ok=True)
        (self.home / "targets").mkdir(exist_ok=True)
        return Updater(
            str(self.home / "metadata"),
            f"{self.url}metadata/",
            str(self.home / "targets"),
            f"{self.url}targets/",
            bootstrap=self.root,
        )

    def get(self, path: str) -> bytes | None:
        """The verified content of a target, or ``None`` where nobody who may signed it."""
        return self.get_all(path)[0]

    def get_all(self, *paths: str) -> tuple[bytes | None, ...]:
        """The verified contents of targets, in one visit."""
        updater = self.updater()
        found = [updater.get_targetinfo(path) for path in paths]
        return tuple(
            None if info is None else Path(updater.download_target(info)).read_bytes()
            for info in found
        )


def no_passphrase(role: str) -> bytes:
    raise AssertionError(f"asked for the passphrase of {role}")
