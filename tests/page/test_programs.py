"""Programs have the names that people know, not those of the kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from repoint.host.kernel.processes import Processes
from repoint.page.views.programs import name_of


@pytest.mark.parametrize(
    ("arguments", "kernel_name", "name"),
    [
        (["/usr/bin/viewer", "a.png"], "viewer", "viewer"),
        (["/usr/bin/a-program-with-a-long-name"], "a-program-with-", "a-program-with-a-long-name"),
        (["/usr/lib/firefox/firefox", "-contentproc"], "Web Content", "Web Content"),
        (["/usr/bin/python3", "-u", "/opt/kiosk/viewer.py", "a.png"], "python3", "viewer.py"),
        (["/usr/bin/python3", "-m", "http.server"], "python3", "python3"),
        (["/bin/sh", "-c", "sleep 1"], "sh", "sh"),
        ([], "kworker/0:1", "kworker/0:1"),
    ],
)
def test_a_process_has_the_name_that_people_know(
    tmp_path: Path, arguments: list[str], kernel_name: str, name: str
) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cmdline").write_text("".join(f"{argument}\0" for argument in arguments))
    assert name_of(7, kernel_name, Processes(tmp_path)) == name


def test_a_process_that_has_ended_keeps_the_name_of_the_kernel(tmp_path: Path) -> None:
    assert name_of(7, "viewer", Processes(tmp_path)) == "viewer"
