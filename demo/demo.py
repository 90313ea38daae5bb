"""Take a real fix from the vendor to a running program, and back: ``make demo``.

Every step runs the ``repoint`` command, over HTTP on this machine, in one temporary folder.
``--keep FOLDER`` uses a folder that stays until the next run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
PRODUCT = "acme-kiosk"
OLD, NEW = "10.0.0", "10.0.1"
MARK = "made-by-the-demo"


@dataclass
class Demo:
    """The folders of one run, and the seconds that each step took."""

    folder: Path
    wheels: Path
    console: Console = field(default_factory=lambda: Console(highlight=False))
    times: dict[str, float] = field(default_factory=dict)
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)
    number: int = 0

    @property
    def repository(self) -> Path:
        """The vendor's repository."""
        return self.folder / "repository"

    @property
    def graft(self) -> Path:
        """The graft point of the component on the device."""
        return self.folder / "device" / "lib" / "pillow"

    @property
    def log(self) -> Path:
        """The file in which the program reports what it does."""
        return self.folder / "device" / "viewer.log"

    def repoint(self, *arguments: str | Path) -> str:
        """Run a command as a person would, and return its output."""
        command = [sys.executable, "-m", "repoint", *map(str, arguments)]
        environment = {
            **os.environ,
            "REPOINT_STORE": str(self.store),
            "REPOINT_REPOSITORY": str(self.repository),
            "REPOINT_PASSPHRASE": "correct horse battery staple",
        }
        result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
        if result.returncode != 0:
            raise SystemExit(f"demo: `repoint {shlex.join(map(str, arguments))}` failed")
        return result.stdout.rstrip()

    @property
    def store(self) -> Path:
        """The device's store."""
        return self.folder / "device" / "store"

    @property
    def enrolment(self) -> dict[str, Any]:
        """The enrolment record of the device."""
        record = self.store / "products" / PRODUCT / "enrolment.json"
        return dict(json.loads(record.read_text()))

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time a step and print one line for it, with the message that the block fills."""
        message: list[str] = []
        started = time.monotonic()
        yield message
        seconds = time.monotonic() - started
        self.times[name] = seconds
        self.number += 1
        self.console.print(
            f"[bold]{self.number:>2}[/] {' '.join(message)} [dim]({seconds:.2f} s)[/]",
            soft_wrap=True,
        )

    def heading(self, text: str) -> None:
        """Print the heading of a part."""
        self.console.print(f"\n[bold cyan]{text}[/]")

    def status(self) -> None:
        """Show what a person at the device sees."""
        self.console.print("   [dim]$ repoint status[/]")
        for line in self.repoint("status").splitlines():
            self.console.print(f"   {line}", markup=False, soft_wrap=True)

    def start(self, command: list[str]) -> None:
        """Start a program in the background."""
        self.programs.append(subprocess.Popen(command, start_new_session=True))

    def viewer(self, before: str = "") -> tuple[str, str]:
        """Wait until the program decodes a picture; return its pid and its version of libwebp."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):
                pid, version, _ = self.log.read_text().split()
                if pid != before and Path("/proc", pid).exists():
                    return pid, version
            time.sleep(0.05)
        raise SystemExit("demo: the picture viewer did not start")


def download(wheels: Path, version: str) -> Path:
    """Download a Pillow wheel for this interpreter, unless it is there already."""
    matches = list(wheels.glob(f"[Pp]illow-{version}-*.whl"))
    if not matches:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                   "--disable-pip-version-check", "--only-binary", ":all:",
                   "--dest", str(wheels), f"pillow=={version}"]  # fmt: skip
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
            python = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise SystemExit(
                f"demo: there is no Pillow {version} wheel for Python {python} on this machine; "
                "run the demo with Python 3.11 (make demo PYTHON=python3.11)"
            )
        matches = list(wheels.glob(f"[Pp]illow-{version}-*.whl"))
    return matches[0]


def vendor_prepares(demo: Demo, old: Path) -> None:
    """Do the vendor's part that is due once per product and release."""
    demo.heading("The vendor prepares")
    with demo.step("init") as message:
        demo.repoint("repository", "init", demo.repository)
        message.append("Created a signed repository, with a separate key for each role.")
    with demo.step("baseline") as message:
        output = demo.repoint(
            "baseline",
            "add",
            PRODUCT,
            "--version",
            "26.3.1",
            "--build",
            "25D2128",
            "--component",
            f"pillow={old}",
            "--health",
            "pillow={python} -c \"import sys; sys.path.insert(0, '{tree}'); "
            "from PIL import features; assert features.check('webp')\"",
        )
        message.append("Registered baseline 26.3.1 (25D2128) with the component")
        message.append(output.splitlines()[1].strip().split(", seal")[0] + ".")


def device_starts(demo: Demo, old: Path, url: str) -> None:
    """Install the product as its vendor ships it, enrol it and start its program."""
    demo.heading("A device, without root")
    with demo.step("factory") as message:
        demo.graft.parent.mkdir(parents=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile",
             "--disable-pip-version-check", "--root-user-action", "ignore",
             "--target", str(demo.graft), str(old)], check=True,
        )  # fmt: skip
        message.append(f"Installed the product with Pillow {OLD}, as its vendor ships it.")
    command = shlex.join(
        ["env", f"PYTHONPATH={demo.graft}", f"REPOINT_STORE={demo.folder}/device/store",
         sys.executable, "-m", "repoint", "launch", sys.executable, str(HERE / "viewer.py"),
         str(demo.log)]
    )  # fmt: skip
    with demo.step("enroll") as message:
        demo.repoint(
            "enroll", url, "--product", PRODUCT,
            "--root", demo.repository / "public/metadata/1.root.json",
            "--graft", f"pillow={demo.graft}", "--program", f"pillow={command}",
        )  # fmt: skip
        message.append("Enrolled: every installed file is the one that the vendor released.")
    with demo.step("start") as message:
        demo.start(shlex.split(command))
        pid, version = demo.viewer()
        message.append(
            f"Started the picture viewer (process {pid}): it decodes with libwebp {version}."
        )


def vendor_publishes(demo: Demo, new: Path) -> None:
    """Build and publish the improvement."""
    demo.heading("The vendor fixes CVE-2023-4863")
    with demo.step("improve") as message:
        output = demo.repoint(
            "improve", PRODUCT, "--version", "26.3.1",
            "--component", f"pillow={new}", "--advisory", HERE / "advisory.toml",
        ).splitlines()  # fmt: skip
        message.append("Built 26.3.1 (a) from the fixed wheel:")
        message.append(output[1].removeprefix("pillow: ") + ";")
        message.append(next(line for line in output if "patch " in line).strip() + ".")
    with demo.step("publish") as message:
        message.append(demo.repoint("publish", PRODUCT, "--exploited", "--ramp", "100%") + ".")


def device_installs(demo: Demo) -> dict[str, float]:
    """Check, install and restart; return the seconds of each phase of the installation."""
    demo.heading("The device")
    with demo.step("check") as message:
        message.append(demo.repoint("check").split(" [")[0])
    with demo.step("install") as message:
        staged = json.loads(demo.repoint("install", "--json"))
        message.append(
            f"Downloaded {staged['downloaded'] / 1000:.0f} kB, verified, prepared and "
            f"staged {staged['label']}."
        )
    demo.status()
    pid, version = demo.viewer()
    demo.console.print(f"   The viewer (process {pid}) still decodes with libwebp {version}.")
    with demo.step("restart") as message:
        activation = json.loads(demo.repoint("restart", "--yes", "--json"))["activation"]
        new_pid, version = demo.viewer(before=pid)
        message.append(
            f"Closed the viewer, switched, started it again (process {new_pid}): "
            f"it decodes with libwebp {version}."
        )
    demo.times |= activation
    demo.status()
    with demo.step("idle") as message:
        message.append(
            "Checked once more: " + demo.repoint("check").replace("[", "(").replace("]", ")")
        )
    return dict(staged["seconds"])


def device_removes(demo: Demo) -> None:
    """Remove the improvement and restart the program on the baseline."""
    demo.heading("Removed again")
    pid, _ = demo.viewer()
    with demo.step("remove") as message:
        output = demo.repoint("remove", "--reason", "a demonstration").splitlines()
        message += [output[0].split(" [")[0], *output[1:]]
    demo.status()
    with demo.step("restart again") as message:
        os.kill(int(pid), signal.SIGTERM)
        demo.start(demo.enrolment["grafts"][0]["program"])
        pid, version = demo.viewer(before=pid)
        message.append(
            f"The viewer, started again (process {pid}), decodes with libwebp {version}."
        )


def print_table(demo: Demo, new: Path, seconds: dict[str, float]) -> None:
    """Print the figures of the run."""
    shown = json.loads(demo.repoint("show", "--json"))
    patch = shown["products"][0]["improvements"][0]["size"]
    full = new.stat().st_size
    table = Table(title="\nThe same fix", title_style="bold", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("full download (wheel)", f"{full / 1e6:.2f} MB")
    table.add_row("patch", f"{patch / 1e6:.2f} MB")
    table.add_row("saved, of the wheel", f"{1 - patch / full:.0%}", end_section=True)
    table.add_row("check", f"{demo.times['check']:.2f} s")
    table.add_row("download", f"{seconds['download']:.2f} s")
    table.add_row("prepare (decode, build, verify)", f"{seconds['prepare']:.2f} s")
    table.add_row("activate (the switch itself)", f"{demo.times['switch'] * 1000:.1f} ms")
    table.add_row("health check", f"{demo.times['health']:.2f} s")
    table.add_row("removal", f"{demo.times['remove']:.2f} s")
    demo.console.print(table)


@contextlib.contextmanager
def served(demo: Demo, port: int = 0) -> Iterator[str]:
    """Serve the repository on this machine, on a free port unless one is arguments."""
    command = [sys.executable, "-m", "repoint", "serve", "--port", str(port),
               "--repository", str(demo.repository)]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if " at " not in line:
                raise SystemExit("demo: the repository cannot be served")
            yield line.rsplit(" at ", 1)[1].strip()
        finally:
            server.terminate()


def stop_viewer(demo: Demo) -> None:
    """Stop the program that the demo started."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        os.kill(int(demo.log.read_text().split()[0]), signal.SIGTERM)
    for program in demo.programs:
        program.wait()


def make_removable(folder: Path) -> None:
    """Make the folders of sealed trees writable, so that they can be removed."""
    for path, folders, _ in os.walk(folder):
        for name in folders:
            if not Path(path, name).is_symlink():
                Path(path, name).chmod(0o755)


def run(folder: Path, wheels: Path) -> None:
    """Run the whole demo in a folder."""
    demo = Demo(folder, wheels)
    wheels.mkdir(parents=True, exist_ok=True)
    demo.heading("From the package index")
    with demo.step("wheels") as message:
        old, new = download(wheels, OLD), download(wheels, NEW)
        old_size, new_size = (f"{wheel.stat().st_size / 1e6:.2f} MB" for wheel in (old, new))
        message.append(f"Pillow {OLD} ({old_size}, bundles libwebp 1.3.1) and")
        message.append(f"{NEW} ({new_size}, libwebp 1.3.2).")
    vendor_prepares(demo, old)
    try:
        with served(demo) as url:
            device_starts(demo, old, url)
            vendor_publishes(demo, new)
            seconds = device_installs(demo)
            device_removes(demo)
            print_table(demo, new, seconds)
    finally:
        stop_viewer(demo)


def make_folder(folder: Path) -> None:
    """Create the folder to run in; replace one that an earlier run left."""
    if folder.exists():
        if not (folder / MARK).exists():
            raise SystemExit(f"demo: {folder} exists and was not created by the demo")
        make_removable(folder)
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()


def main() -> None:
    """Parse the arguments and run in a kept or a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--wheels", type=Path, required=True, help="folder for the downloaded wheels"
    )
    parser.add_argument("--keep", type=Path, help="run in this folder and keep it")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        make_folder(arguments.keep)
        run(arguments.keep.resolve(), arguments.wheels.resolve())
        print("\nTo open the Settings page on this device and install the fix yourself:")
        print("  make demo-page")
        return
    with tempfile.TemporaryDirectory(prefix="repoint-demo-") as folder:
        try:
            run(Path(folder), arguments.wheels.resolve())
        finally:
            make_removable(Path(folder))


if __name__ == "__main__":
    main()
