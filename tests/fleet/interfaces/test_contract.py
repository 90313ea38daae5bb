"""The JSON API against its own description, with whatever schemathesis thinks of."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet.collector import CollectorProcess
from tests.fleet.reports import count, event, new_id


@pytest.mark.slow
@pytest.mark.parametrize("token", ["", "a-secret-of-some-length"])
def test_the_api_is_as_it_is_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("REPOINT_FLEET_TOKEN", token)
    collector = CollectorProcess(f"sqlite:///{tmp_path}/fleet.db", "--admin", "127.0.0.1:0")
    collector.send([count(), event("failed", new_id(), failure="health")])
    header = [f"--header=Authorization: Bearer {token}"] if token else []
    done = subprocess.run(
        [str(Path(sys.executable).parent / "schemathesis"), "run", *header,
         "--max-examples=60", "--seed=14", "--workers=1",
         f"http://127.0.0.1:{collector.admin}/api/v1/openapi.json"],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert collector.stop() == 0
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b[1-9]\d\d+ passed", done.stdout), done.stdout
    assert collector.lines == []
