"""A device that uses tufup: ``tufup_device.py JOB DEVICE``; prints seconds as JSON.

Jobs: ``check``; ``update`` (from check to the extracted archive); ``settle`` (the device has the
new release from now on).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from tufup.client import Client

NEW = "10.0.1"


def client_of(device: Path) -> Client:
    """A client as an application makes it."""
    settings = json.loads((device / "settings.json").read_text())
    return Client(
        app_name="pillow",
        app_install_dir=device / "app",
        current_version=settings["version"],
        metadata_dir=device / "metadata",
        metadata_base_url=f"{settings['url']}/metadata/",
        target_dir=device / "targets",
        target_base_url=f"{settings['url']}/targets/",
        extract_dir=device / "extracted",
        refresh_required=True,
    )


def check(device: Path) -> dict[str, Any]:
    """Ask the repository."""
    begun = time.perf_counter()
    client = client_of(device)
    found = client.check_for_updates()
    return {"work": time.perf_counter() - begun, "found": str(found or "")}


def update(device: Path) -> dict[str, Any]:
    """From check to staged: patched, verified and extracted, and not yet put into place."""
    begun = time.perf_counter()
    client = client_of(device)
    if client.check_for_updates() is None:
        raise SystemExit("there is no update")
    checked = time.perf_counter()
    staged: list[float] = []

    def put_into_place(**_given: object) -> None:
        staged.append(time.perf_counter())

    client.download_and_apply_update(skip_confirmation=True, install=put_into_place)
    if not staged:
        raise SystemExit("the update was not applied")
    return {
        "work": staged[0] - begun,
        "check": checked - begun,
        "rest": staged[0] - checked,
        "patched": all(target.is_patch for target in client.new_targets or {}),
    }


def settle(device: Path) -> dict[str, Any]:
    """Record the new release as the installed one."""
    file = device / "settings.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "version": NEW}))
    return {}


def main() -> None:
    """Do the job that is named."""
    job, device = sys.argv[1:]
    print(json.dumps({"check": check, "update": update, "settle": settle}[job](Path(device))))


if __name__ == "__main__":
    main()
