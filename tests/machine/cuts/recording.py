"""Run the operations in a booted machine, and record all writes to its disk."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec

from tests.machine.asking import started
from tests.machine.cuts.operations import OPERATIONS
from tests.machine.cuts.product import Facts, facts, make_sources, publish_all
from tests.machine.cuts.serving import PlacedServer, free_port
from tests.machine.cuts.writes import WriteLog
from tests.machine.image import Image
from tests.machine.machine import Machine

HOST = "updates.example"
"""The repository's name. The machine finds it at another address than who judges its disk."""
_SEEN_BY_MACHINE = "10.0.2.2"
_SECONDS = 6.0
"""ext4 brings what nobody has synced to the disk after five seconds."""


class Span(msgspec.Struct, frozen=True):
    """The span of one operation, in numbers of recorded writes.

    Attributes:
        begin: When it began.
        done: When it had reported success.
        end: Some seconds later.
        seconds: Its duration.
    """

    begin: int
    done: int
    end: int
    seconds: float


class Recording(msgspec.Struct, frozen=True):
    """A recorded run.

    Attributes:
        port: The port of the repository.
        root: Its trusted root.
        served: The served repository at each letter.
        facts: The states that the machine may be in.
        spans: The operations.
        begin: The number of recorded writes when the first operation began.
    """

    port: int
    root: str
    served: dict[str, str]
    facts: Facts
    spans: dict[str, Span]
    begin: int


class RecordedMachine(Machine):
    """A machine whose disk has a write-back cache and a log of its requests."""

    @property
    def log(self) -> Path:
        """The log."""
        return self.folder / "writes.log"

    def drive(self) -> list[str]:
        file = "driver=file,cache.direct=off,cache.no-flush=on"
        return ["-blockdev", f"{file},filename={self.disk},node-name=disk",
                "-blockdev", f"{file},filename={self.log},node-name=log",
                "-blockdev", "driver=blklogwrites,file=disk,log=log,node-name=noted",
                "-device", "virtio-blk-pci,drive=noted,write-cache=on"]  # fmt: skip


def record(image: Image, folder: Path) -> Recording:
    """Run all operations once. Results of an earlier run in the folder are replaced."""
    sources = make_sources(folder)
    served = publish_all(folder, sources)
    (folder / "machine.raw").unlink(missing_ok=True)
    machine = RecordedMachine(image, folder)
    machine.log.write_bytes(b"")
    log = WriteLog(machine.log)
    first = next(iter(served.values()))
    port = free_port()
    server = PlacedServer(first, address=("127.0.0.1", port))
    root = trusted_root(first)
    spans = {}
    try:
        print(f"booted in {machine.start():.0f} s", flush=True)
        started(machine)
        prepare(machine, sources["1.0"]["engine"], root)
        begin = log.read()
        for operation in OPERATIONS:
            server.folder = served[operation.served]
            spans[operation.name] = _run(machine, log, ordered(operation.command, port))
            print(f"{operation.name}: {spans[operation.name]}", flush=True)
    finally:
        machine.stop()
        server.close()
    return Recording(
        port,
        root,
        {label: str(path) for label, path in served.items()},
        facts(sources),
        spans,
        begin,
    )


def trusted_root(served: Path) -> str:
    """Return the root of a repository as text that ends with a newline."""
    return (served / "metadata/1.root.json").read_text().rstrip("\n") + "\n"


def prepare(machine: Machine, engine: Path, root: str) -> None:
    """Install the engine as its vendor ships it, and wait until the machine is idle."""
    machine.run(f"cat > /root/root.json <<'END'\n{root}END")
    machine.run(f"printf '127.0.0.1 localhost\\n{_SEEN_BY_MACHINE} {HOST}\\n' > /etc/hosts")
    archive = shutil.make_archive(str(engine.with_name("engine.shipped")), "gztar", engine)
    port = free_port()
    server = PlacedServer(Path(archive).parent, address=("127.0.0.1", port))
    try:
        machine.run("systemctl start systemd-networkd-wait-online || true")
        machine.run(
            'mkdir -p /srv/acme/engine && python3 -c "import urllib.request as u, tarfile; '
            f"u.urlretrieve('http://{_SEEN_BY_MACHINE}:{port}/{Path(archive).name}', '/run/t'); "
            "tarfile.open('/run/t').extractall('/srv/acme/engine')\""
        )
    finally:
        server.close()
    machine.run("sync")
    time.sleep(_SECONDS)


def ordered(command: str, port: int) -> str:
    """Return the command line for the machine."""
    return command.replace("URL", f"http://{HOST}:{port}").replace("ROOT", "/root/root.json")


def _run(machine: Machine, log: WriteLog, command: str) -> Span:
    machine.run("sync")
    begin = log.read()
    started = time.monotonic()
    machine.run(command)
    seconds = time.monotonic() - started
    done = log.read()
    time.sleep(_SECONDS)
    return Span(begin, done, log.read(), round(seconds, 1))
