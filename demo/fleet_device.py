"""One device of the fleet of the demo: what its owner and its agent do."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from repoint.agent.update_run import Agent
from repoint.device.device import Device
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter

PRODUCT = "acme-kiosk"


class Seen(NamedTuple):
    """The state that a device reports.

    Attributes:
        in_force: The label of the letter in force; empty for the baseline.
        failed: The letter that failed here last; empty for none.
    """

    in_force: str
    failed: str


def enroll(arguments: tuple[str, int, int, int]) -> None:
    """Put the product on a device, enrol it, and consent to reports."""
    demo, number, web, reports = arguments
    folder = Path(demo, "devices", f"{number:03}")
    graft = folder / "lib" / "player"
    shutil.copytree(Path(demo, "trees", "old"), graft)
    root = Path(demo, "repository", "public", "metadata", "1.root.json").read_bytes()
    device = Device(folder / "store")
    device.enroll(
        PRODUCT,
        f"http://127.0.0.1:{web}",
        root,
        {"player": GraftRequest(graft)},
        BaselineFilter(platform="linux-x86_64"),
    )
    device.reports.turn_on(PRODUCT, f"http://127.0.0.1:{reports}")


def update_run(arguments: tuple[str, int]) -> Seen:
    """Make the update run that the agent's timer makes, and return the state."""
    demo, number = arguments
    device = Device(Path(demo, "devices", f"{number:03}", "store"))
    for _ in Agent(device, time.time, random.Random(number)).run():
        pass
    status = device.status(PRODUCT)
    failures = [entry.label for entry in device.history(PRODUCT) if entry.event == "failed"]
    failed = failures[-1].partition("(")[2].rstrip(")") if failures else ""
    return Seen(status.in_force if "(" in status.in_force else "", failed)
