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


def main(words: list[str] | None = None) -> int:
    """Run one step of a test; return its exit status."""
    arguments = _parse(words)
    try:
        if arguments.command == "init":
            # A device keeps its pinned root apart from downloaded metadata (see `Store`).
            write_durably(arguments.metadata_dir / PINNED, arguments.root.read_bytes())
            write_durably(arguments.metadata_dir / "root.json", arguments.root.read_bytes())
        elif arguments.command == "refresh":
            _check(_client(arguments))
        else:
            _download(_client(arguments), arguments.target_name, arguments.target_dir)
    except (RepointError, OSError) as error:
        print(f"{arguments.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _parse(words: list[str] | None) -> argparse.Namespace:
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
    return parser.parse_args(words)


def _client(arguments: argparse.Namespace) -> RepositoryClient:
    # Our repositories have both below one address, and so does the suite's.
    url, _, last = arguments.metadata_url.rstrip("/").rpartition("/")
    if last != "metadata" or arguments.target_base_url.rstrip("/") not in ("", f"{url}/targets"):
        raise RepointError(
            f"{arguments.metadata_url} and {arguments.target_base_url} do not belong to one repository"
        )
    metadata = arguments.metadata_dir
    return RepositoryClient(url, metadata, metadata / "downloads", (metadata / PINNED).read_bytes())


def _check(client: RepositoryClient) -> None:
    """Refresh the metadata as `repoint check` does before it reads a document."""
    if client.has_news():
        client.refresh()
        client.record_version()


def _download(client: RepositoryClient, names: list[str], folder: Path) -> None:
    client.refresh()
    for name in names:
        target = client.find_required(name)
        path = folder / quote(name, safe="")
        if path.exists() and is_target(path, target):
            continue
        shutil.move(client.download(target), path)


if __name__ == "__main__":
    sys.exit(main())
