"""Man pages and completion of the Debian package, made from the commands' own help."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manual")
    command = [sys.executable, str(ROOT / "packaging/manual.py"), str(folder)]
    subprocess.run([*command, "--date", "2026-11-25"], check=True)
    return folder


def test_every_command_has_a_page_with_its_help_and_options(manual: Path) -> None:
    pages = {page.stem for page in manual.glob("*.1")}
    assert {"repoint", "repoint-install", "repoint-baseline-add", "repoint-system-merge"} <= pages
    page = (manual / "repoint-install.1").read_text()
    assert page.startswith('.TH "REPOINT-INSTALL" "1" "2026-11-25"')
    assert "Download, verify, prepare and stage what the last check found" in page
    assert "\\-\\-automatic" in page
    assert "environment variable REPOINT_STORE" in page


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_groff_accepts_the_pages_without_a_warning(manual: Path) -> None:
    for page in manual.glob("*.1"):
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z", str(page)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stderr == "", page.name


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("install --a", {"--automatic"}),
        ("system u", {"unmerge"}),
        ("--store /x baseline a", {"add"}),
        ("repository ro", {"rotate"}),
        ("unen", {"unenroll"}),
    ],
)
def test_bash_completes_commands_and_options(manual: Path, line: str, found: set[str]) -> None:
    words = " ".join(f"'{word}'" for word in ("repoint", *line.split(" ")))
    script = (
        f"source {manual}/completions/repoint; COMP_WORDS=({words}); "
        f"COMP_CWORD={len(line.split(' '))}; _repoint; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == found
