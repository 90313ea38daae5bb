#!/usr/bin/env python3
"""The device's client behind the command line that the TUF client conformance suite speaks.

The suite starts it as a program of its own for every step, with a folder of what is trusted:

    client.py --metadata-dir DIR init ROOT
    client.py --metadata-dir DIR --metadata-url URL refresh
    client.py --metadata-dir DIR --metadata-url URL --target-name NAME [--target-name NAME …]
              --target-base-url URL --target-dir DIR download

Exit status 0 where it was done whole, else 1. What runs behind it is what `repoint check` and
`repoint install` use; nothing is turned off or made easier for the suite.
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
    """Do one step of a test and tell whether it was done whole."""
    asked = _parse(arguments)
    try:
        if asked.command == "init":
            # A device keeps the root it was given apart from what it learns (see `Store`).
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
    # A repository of ours holds both below one address, and so does the suite's.
    url, _, last = asked.metadata_url.rstrip("/").rpartition("/")
    if last != "metadata" or asked.target_base_url.rstrip("/") not in ("", f"{url}/targets"):
        raise RepointError(f"{asked.metadata_url} and {asked.target_base_url} are not of one place")
    metadata = asked.metadata_dir
    return RepositoryClient(url, metadata, metadata / "downloads", (metadata / PINNED).read_bytes())


def _check(client: RepositoryClient) -> None:
    """What `repoint check` does before it reads a document."""
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
