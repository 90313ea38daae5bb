"""The server for trying things out, over real HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import urllib3

from repoint.repository.errors import CannotServeError
from repoint.repository.serving import serve
from tests.repository.support import SERVER, Web


@pytest.fixture
def big(web: Web) -> bytes:
    content = os.urandom(5 << 20)
    (web.folder / "big.patch").write_bytes(content)
    return content


def get(web: Web, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager(retries=False) as pool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return pool.request("GET", web.url + path, headers=named)


def test_a_download_resumes_where_it_broke_off(web: Web, big: bytes) -> None:
    whole = get(web, "big.patch")
    assert (whole.status, whole.data) == (200, big)
    rest = get(web, "big.patch", Range="bytes=3000000-", If_Range=whole.headers["etag"])
    assert (rest.status, rest.data) == (206, big[3000000:])
    assert rest.headers["content-range"] == f"bytes 3000000-{len(big) - 1}/{len(big)}"
    beyond = get(web, "big.patch", Range=f"bytes={len(big)}-")
    assert beyond.status == 416


def test_a_file_that_changed_is_sent_from_its_start(web: Web, big: bytes) -> None:
    tag = get(web, "big.patch").headers["etag"]
    (web.folder / "big.patch").write_bytes(b"other")
    answer = get(web, "big.patch", Range="bytes=2-", If_Range=tag)
    assert (answer.status, answer.data) == (200, b"other")


def test_an_unchanged_file_costs_no_body(web: Web, big: bytes) -> None:
    tag = get(web, "big.patch").headers["etag"]
    same = get(web, "big.patch", If_None_Match=tag)
    assert (same.status, same.data) == (304, b"")
    assert get(web, "big.patch", If_None_Match='"other"').status == 200


def test_an_answer_does_not_wait_for_an_acknowledgement(web: Web) -> None:
    (web.folder / "small").write_bytes(b"small")
    with urllib3.PoolManager(retries=False) as pool:
        seconds = []
        for _ in range(10):
            start = time.perf_counter()
            assert pool.request("GET", f"{web.url}small").data == b"small"
            seconds.append(time.perf_counter() - start)
    # Without TCP_NODELAY each of them takes 40 ms.
    assert min(seconds) < 0.03


def test_folders_missing_files_and_ways_out_are_not_found(web: Web, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (web.folder / "out").symlink_to(tmp_path)
    (web.folder / "folder").mkdir()
    host, port = web.url.removeprefix("http://").rstrip("/").split(":")
    for path in ("", "folder", "folder/", "missing", "out/secret", "%2e%2e/x", "a%00b"):
        assert get(web, path).status == 404
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(b"GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b" 404 " in raw.makefile("rb").readline()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_and_without_a_message(tmp_path: Path, number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SERVER, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        with urllib3.PoolManager() as pool:
            pool.request("GET", url + "x")
            process.send_signal(number)
            assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == 0


def test_an_address_in_use_and_a_missing_folder_are_named(web: Web, tmp_path: Path) -> None:
    port = int(web.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(CannotServeError, match=f"port {port}: another program listens there"):
        serve(tmp_path, "127.0.0.1", port, print)
    with pytest.raises(CannotServeError, match="99999 is not a port"):
        serve(tmp_path, "127.0.0.1", 99999, print)
    with pytest.raises(CannotServeError, match="no folder"):
        serve(tmp_path / "missing", "127.0.0.1", 0, print)
