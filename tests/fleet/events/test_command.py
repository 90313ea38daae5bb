"""``repoint fleet query``."""

from __future__ import annotations

import json
import time
from pathlib import Path

from repoint.fleet.events.archive import Archive
from repoint.fleet.events.objects import open_objects
from repoint.fleet.stores.opening import open_state
from tests.cli.command import repoint, works
from tests.fleet.reports import count, event, new_id


def test_events_are_asked_with_sql(tmp_path: Path) -> None:
    state = open_state(f"sqlite:///{tmp_path}/fleet.db", keeps_events=True)
    now = int(time.time())
    state.add([count(), count("a"), event("failed", new_id(), failure="health")], now - 7200)
    Archive(state.spool(), open_objects(str(tmp_path / "events"))).export(now)
    state.close()
    sql = "SELECT kind, count(*) AS number FROM events GROUP BY kind ORDER BY kind"
    out = works("fleet", "query", sql, "--events", str(tmp_path / "events"))
    assert out.splitlines() == ["kind,number", "count,2", "failed,1"]
    out = works("fleet", "query", sql, "--events", str(tmp_path / "events"), "--json")
    assert json.loads(out) == [{"kind": "count", "number": 2}, {"kind": "failed", "number": 1}]
    done = repoint("fleet", "query", "SELECT", "--events", str(tmp_path / "events"))
    assert done.status == 1
    assert "repoint: The query failed" in done.err
