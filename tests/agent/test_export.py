"""The status for other programs on the device: off unless the policy asks, whole at any instant."""

from __future__ import annotations

import os
import random
import re
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from repoint.agent.update_run import Agent
from repoint.device.device import Device
from repoint.device.report.database import make_database
from repoint.device.report.metrics import as_metrics
from repoint.host.conditions import Conditions
from tests.places import MAPS_A_LIBRARY, Place
from tests.world import Vendor

DOCS = Path(__file__).parents[2] / "docs/reports.md"
NOW = int(time.time())


@pytest.fixture
def policy(place: Place, tmp_path: Path) -> Path:
    """The folder of a policy that asks for the files."""
    place.enroll()
    folder = tmp_path / "policy.d"
    folder.mkdir()
    (folder / "10-site.toml").write_text("export = true\n")
    return folder


def run(place: Place, policy: Path, hand_over: list[str] | None = None) -> None:
    device = Device(place.folder / "store", wait=5, policy=policy)
    agent = Agent(
        device, lambda: NOW, random.Random(3), lambda store: Conditions(),
        hand_over=None if hand_over is None else lambda: hand_over.append("handed over"),
    )  # fmt: skip
    list(agent.run())


def rows(place: Place, query: str) -> list[dict[str, object]]:
    """Read the database as osquery does: read-only, by a query and the names of columns."""
    path = place.folder / "store/export/status.sqlite"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query)]


def test_nothing_is_written_unless_the_policy_asks(place: Place, tmp_path: Path) -> None:
    place.enroll()
    run(place, tmp_path / "none")
    assert not (place.folder / "store/export").exists()


def test_both_files_say_what_the_status_says(place: Place, vendor: Vendor, policy: Path) -> None:
    vendor.release()
    place.run(MAPS_A_LIBRARY, launched=True)
    run(place, policy)
    (row,) = rows(place, "SELECT * FROM repoint_status")
    status = place.device.status(None)
    assert row["product"] == "acme-kiosk"
    assert (row["in_force"], row["verdict"]) == (status.in_force, status.verdict)
    assert row["exposed"] == len(status.exposed) == 1
    (cve,) = rows(place, "SELECT * FROM repoint_cves")
    assert (cve["cve"], cve["state"]) == ("CVE-2023-4863", status.cves[0].state)
    metrics = (place.folder / "store/export/repoint.prom").read_text()
    assert 'repoint_exposed_processes{product="acme-kiosk"} 1\n' in metrics
    assert 'repoint_protected{product="acme-kiosk"} 0\n' in metrics


def test_everybody_may_read_the_files_and_nobody_write_them(place: Place, policy: Path) -> None:
    before = os.umask(0o077)
    try:
        run(place, policy)
    finally:
        os.umask(before)
    folder = place.folder / "store/export"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o644}
    assert {file.name for file in folder.iterdir()} == {"status.sqlite", "repoint.prom"}


def test_the_files_go_when_the_policy_does_not_ask_any_more(place: Place, policy: Path) -> None:
    run(place, policy)
    (policy / "10-site.toml").write_text("automatic = true\n")
    run(place, policy)
    assert not (place.folder / "store/export").exists()


def test_an_agent_that_does_not_see_processes_leaves_the_files_to_one_that_does(
    place: Place, policy: Path
) -> None:
    handed: list[str] = []
    run(place, policy, handed)
    assert handed
    assert not (place.folder / "store/export").exists()
    device = Device(place.folder / "store", wait=5, policy=policy)
    list(Agent(device, lambda: NOW, random.Random(3)).activate())
    assert rows(place, "SELECT * FROM repoint_status")


def test_a_folder_in_the_way_fails_no_update(place: Place, vendor: Vendor, policy: Path) -> None:
    (place.folder / "store/export").write_text("something else")
    vendor.release()
    run(place, policy)
    assert place.device.status(None).in_force == "26.3.1 (a)"


LINE = re.compile(
    r'[a-z_]+(\{([a-z_]+="([^"\\\n]|\\[\\"n])*",?)+\})? -?[0-9.]+|# (HELP|TYPE) [a-z_]+ .+'
)


def test_hostile_texts_stay_inside_their_labels_and_columns(place: Place) -> None:
    place.enroll()
    status = msgspec.structs.replace(
        place.device.status(None), version='1"} 7\nevil{x="\\', withdrawn="'); DROP TABLE cve; --"
    )
    text = as_metrics([status], now=NOW)
    assert [line for line in text.splitlines() if not LINE.fullmatch(line)] == []
    assert 'version="1\\"} 7\\nevil{x=\\"\\\\"' in text
    with sqlite3.connect(":memory:") as database:
        database.deserialize(make_database([status], now=NOW))
        (found,) = database.execute("SELECT version, withdrawn FROM repoint_status")
        assert found == (status.version, status.withdrawn)
        assert list(database.execute("SELECT * FROM repoint_cves")) == []


def test_a_run_for_which_nobody_has_asked_loads_nothing_of_it(place: Place) -> None:
    place.enroll()
    code = (
        "import random, sys, time\nfrom pathlib import Path\n"
        "from repoint.agent.update_run import Agent\nfrom repoint.device.device import Device\n"
        "list(Agent(Device(Path(sys.argv[1])), time.time, random.Random()).run())\n"
        "print([m for m in sys.modules if m == 'sqlite3' or m.startswith('repoint.device.report')"
        " or m == 'repoint.device.fetch.message'])"
    )
    command = [sys.executable, "-c", code, str(place.folder / "store")]
    environment = {**os.environ, "REPOINT_POLICY": "/none"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_status_loads_no_database(place: Place) -> None:
    place.enroll()
    code = (
        "import sys\nfrom pathlib import Path\nfrom repoint.device.device import Device\n"
        "Device(Path(sys.argv[1])).status(None)\n"
        "print('sqlite3' in sys.modules)"
    )
    store = str(place.folder / "store")
    done = subprocess.run([sys.executable, "-c", code, store], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
