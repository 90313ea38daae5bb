#!/usr/bin/env python3
"""The device's client behind the command line of the TUF client conformance suite.

The suite starts this program for every step, with a folder of the trusted metadata:

    client.py --metadata-dir DIR init ROOT
    client.py --metadata-dir DIR --metadata-url URL refresh
    client.py --metadata-dir DIR --metadata-url URL --target-name NAME [--target-name NAME …]
              --target-base-url URL --target-dir DIR download

Exit status is 0 on success and 1 otherwise. The code behind it is that of `repoint check` and `repoint
install`; nothing is disabled or simplified for the suite.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

from repoint.device.fetch.client import RepositoryClient, is_target
from repoint.fs.durable import write_durably
from repoint.model.errors import RepointError

PINNED = "pinned-root"


def main(arguments: list[str] | None = None) -> int:
    """Run one step of a test; return whether it succeeded."""
    asked = _parse(arguments)
    try:
        if asked.command == "init":
            # A device keeps its pinned root apart from downloaded metadata (see `Store`).
            write_durably(asked.metadata_dir / PINNED, asked.root.read_bytes())
            write_durably(asked.metadata_dir / "root.json", asked.root.read_bytes())
        elif asked.command == "refresh":
            _check(_client(asked))
        else:
            _download(_client(asked), asked.target_name, asked.target_dir)
    except (RepointError, OSError) as error:
        print(f"{asked.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url", default="")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-base-url", default="")
    parser.add_argument("--target-dir", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    return parser.parse_args(arguments)


def _client(asked: argparse.Namespace) -> RepositoryClient:
    # Our repositories have both below one address, and so does the suite's.
    url, _, last = asked.metadata_url.rstrip("/").rpartition("/")
    if last != "metadata" or asked.target_base_url.rstrip("/") not in ("", f"{url}/targets"):
        raise RepointError(f"{asked.metadata_url} and {asked.target_base_url} are not of one place")
    metadata = asked.metadata_dir
    return RepositoryClient(url, metadata, metadata / "downloads", (metadata / PINNED).read_bytes())


def _check(client: RepositoryClient) -> None:
    """Refresh the metadata as `repoint check` does before it reads a document."""
    if client.has_news():
        client.refresh()
        client.remember()


def _download(client: RepositoryClient, names: list[str], folder: Path) -> None:
    client.refresh()
    for name in names:
        target = client.need(name)
        place = folder / quote(name, safe="")
        if place.exists() and is_target(place, target):
            continue
        shutil.move(client.download(target), place)


if __name__ == "__main__":
    sys.exit(main())
