"""No network, and networks that break off: what came is kept, and nothing else changes."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, environment, everything, refusal, repoint, works
from tests.places import Place, wait_for
from tests.serving import WebServer
from tests.world import FIXED, OLD, PLATFORM, Vendor, big, write_tree

SIZE = 300_000
AFTER = 100_000


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    """A vendor whose improvement is large enough to be interrupted."""
    made = Vendor(tmp_path_factory.mktemp("vendor"))
    made.baseline()
    made.release({"engine": {**FIXED, "lib/large.so": big(7, SIZE)}})
    return made


@pytest.fixture
def waiting(place: Place, server: WebServer) -> Place:
    """A device that knows of the improvement and has not fetched it."""
    place.enroll()
    place.device.check(None)
    server.requests.clear()
    return place


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port at which nothing answers, and that nobody else takes meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def install(place: Place) -> tuple[str | Path, ...]:
    return ("install", "--store", place.folder / "store")


@pytest.mark.slow
def test_enrolling_with_a_server_that_does_not_answer(
    tmp_path: Path, vendor: Vendor, closed_port: int
) -> None:
    for url, expected in (
        (f"http://127.0.0.1:{closed_port}", "it does not accept connections"),
        ("http://nothing.invalid", "its name cannot be resolved"),
    ):
        graft = write_tree(tmp_path / "app/engine", OLD)
        before = everything(tmp_path / "app")
        answer = repoint(
            "enroll", url, "--product", vendor.product,
            "--root", vendor.public / "metadata/1.root.json", "--graft", f"engine={graft}",
            "--platform", PLATFORM, "--store", tmp_path / "store",
        )  # fmt: skip
        refusal(answer, "cannot be reached", expected, "Check the network and try again")
        assert everything(tmp_path / "app") == before
        assert not list((tmp_path / "store").glob("products/*"))


@pytest.mark.slow
def test_checking_without_a_network_leaves_what_is_known(
    place: Place, server: WebServer, vendor: Vendor
) -> None:
    place.enroll()
    place.device.check(None)
    before = everything(place.folder)
    server.close()
    refusal(repoint("check", "--store", place.folder / "store"), "it does not accept connections")
    assert everything(place.folder) == before
    out = works("status", "--store", place.folder / "store")
    assert "available  26.3.1 (a)" in out
    assert "failed: The repository at" in out


def test_a_download_that_breaks_off_continues(waiting: Place, server: WebServer) -> None:
    server.cut_after.append(AFTER)
    works(*install(waiting))
    patches = [request for request in server.requests if request.path.endswith(".patch")]
    assert [request.range for request in patches] == ["", f"bytes={AFTER}-"]
    assert sum(request.length for request in patches) == waiting_size(waiting)


@pytest.mark.slow
def test_the_next_command_continues_a_download_that_failed(
    waiting: Place, server: WebServer
) -> None:
    before = everything(waiting.folder, "downloads")
    server.cut_after += [AFTER, 1000, 1000, 1000]
    refusal(
        repoint(*install(waiting)), "the connection was interrupted", "what was downloaded is kept"
    )
    assert everything(waiting.folder, "downloads") == before
    server.requests.clear()
    works(*install(waiting))
    patches = [request for request in server.requests if request.path.endswith(".patch")]
    assert [request.range for request in patches] == [f"bytes={AFTER + 3000}-"]
    assert list(waiting.folder.glob("store/products/*/downloads/*")) == []


@pytest.mark.slow
def test_the_next_command_continues_a_download_that_ctrl_c_stopped(
    waiting: Place, server: WebServer
) -> None:
    before = everything(waiting.folder, "downloads")
    server.stall_after.append(AFTER)
    with subprocess.Popen(
        [*COMMAND, *map(str, install(waiting))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        # What runs in the background of a script has this signal ignored, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as program:  # fmt: skip
        wait_for(lambda: bool(server.stalled))
        downloads = waiting.product.downloads
        wait_for(lambda: any(part.stat().st_size for part in downloads.glob("*.part")))
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=20)
    server.go_on.set()
    assert (program.returncode, out) == (1, "")
    assert err == "repoint: Interrupted. Nothing is left half done; run the command again\n"
    assert everything(waiting.folder, "downloads") == before
    (part,) = waiting.product.downloads.iterdir()
    kept = part.stat().st_size
    assert 0 < kept <= AFTER
    server.requests.clear()
    works(*install(waiting))
    patches = [request for request in server.requests if request.path.endswith(".patch")]
    assert [request.range for request in patches] == [f"bytes={kept}-"]


@pytest.mark.slow
def test_a_part_that_a_power_cut_has_damaged_is_downloaded_anew(
    waiting: Place, server: WebServer
) -> None:
    server.cut_after += [AFTER, 1000, 1000, 1000]
    refusal(repoint(*install(waiting)), "the connection was interrupted")
    (part,) = waiting.product.downloads.iterdir()
    part.write_bytes(bytes(part.stat().st_size))
    works(*install(waiting))
    assert waiting.device.status(None).staged == "26.3.1 (a)"


def test_a_server_without_ranges_sends_the_file_from_the_beginning(
    waiting: Place, server: WebServer
) -> None:
    server.ranges = False
    server.cut_after.append(AFTER)
    works(*install(waiting))
    patches = [request.status for request in server.requests if request.path.endswith(".patch")]
    assert patches == [200, 200]
    assert waiting.device.status(None).staged == "26.3.1 (a)"


def waiting_size(place: Place) -> int:
    improvement = place.product.documents.known_improvement("a")
    assert improvement is not None
    return improvement.download_size
