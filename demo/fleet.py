"""Stop a bad letter in a fleet of a hundred devices, and reach all of them: ``make demo-fleet``.

The vendor's commands, the collector, the guard and the web server are real processes. Each device
has a store of its own, and makes the update runs that its agent makes. Everything lies in one
temporary folder. ``make demo-fleet-page`` opens the fleet page at the end, until Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

from fleet_device import Seen, enroll, update_run
from rich.console import Console

PRODUCT, VERSION = "acme-kiosk", "26.3.1"
RAMP = "15% 50% 100% over 2h"
FAST_RAMP = "15% 50% 100% over 20s"
HEALTH = "player={python} {tree}/player.py --check"
PASSPHRASE = "correct horse battery staple"

PLAYER = """\
import sys

def decode(header):
    return {expression}

if "--check" in sys.argv:
    sys.exit(0 if decode(b"RIFF") == 4 else "the player cannot decode its own test picture")
"""
OLD = PLAYER.format(expression="len(header)")
BAD = PLAYER.format(expression="len(header[:2])  # checked bounds, and cut off too much")
FIXED = PLAYER.format(expression="len(header[:16])  # checked bounds")

ADVISORY = """\
title = "A security update for the player"
[[fix]]
cves = ["CVE-2026-1234"]
component = "player"
impact = "Opening a picture may run an attacker's code"
description = "A missing check of bounds was added."
"""


@dataclass
class Demo:
    """One run of the demo."""

    folder: Path
    size: int
    console: Console = field(default_factory=lambda: Console(highlight=False))
    number: int = 0

    @property
    def database(self) -> str:
        """The database of the collector."""
        return f"sqlite:///{self.folder}/fleet.db"

    def command(self, *arguments: str | Path) -> list[str]:
        """Return a command line of Repoint."""
        return [sys.executable, "-m", "repoint", *map(str, arguments)]

    @property
    def environment(self) -> dict[str, str]:
        """What the vendor and the operator have set."""
        return {
            **os.environ,
            "REPOINT_REPOSITORY": str(self.folder / "repository"),
            "REPOINT_FLEET_DATABASE": self.database,
            "REPOINT_PASSPHRASE": PASSPHRASE,
            "REPOINT_FLEET_STATE": str(self.folder / "page"),
        }

    def repoint(self, *arguments: str | Path) -> str:
        """Run a command as a person would, and return its output."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment, stdout=subprocess.PIPE, text=True
        )
        if done.returncode != 0:
            raise SystemExit(f"demo: `repoint {' '.join(map(str, arguments))}` failed")
        return done.stdout.strip()

    @contextlib.contextmanager
    def running(self, ready: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Run a command until the end of the block; the block starts when it says it is ready."""
        with subprocess.Popen(
            self.command(*arguments), env=self.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if ready in line:
                        break
                else:
                    raise SystemExit(f"demo: `repoint {' '.join(map(str, arguments))}` ended")
                yield process
            finally:
                process.terminate()

    @contextlib.contextmanager
    def step(self) -> Iterator[list[str]]:
        """Time a step, and print one line for it, with the message that the block fills."""
        message: list[str] = []
        started = time.monotonic()
        yield message
        self.number += 1
        self.console.print(
            f"[bold]{self.number:>2}[/] {' '.join(message)} "
            f"[dim]({time.monotonic() - started:.1f} s)[/]",
            soft_wrap=True,
        )

    def heading(self, text: str) -> None:
        """Print the heading of a part."""
        self.console.print(f"\n[bold cyan]{text}[/]")

    def write_player(self, name: str, code: str) -> Path:
        """Write the tree of the component."""
        tree = self.folder / "trees" / name
        tree.mkdir(parents=True)
        (tree / "player.py").write_text(code)
        (tree / "player.dat").write_bytes(bytes(range(256)) * 64)
        return tree


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100, help="how many devices there are")
    parser.add_argument("--page", action="store_true", help="open the fleet page at the end")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="repoint-fleet-"))
    try:
        run(Demo(folder, arguments.devices), page=arguments.page)
    except KeyboardInterrupt:
        print()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(demo: Demo, *, page: bool) -> None:
    """Run the demonstration."""
    started = time.monotonic()
    demo.heading("The vendor")
    with demo.step() as message:
        prepare(demo)
        message.append(f"Created a signed repository, and registered {PRODUCT} {VERSION}.")
    web, reports, admin = free_port(), free_port(), free_port()
    with (
        demo.running("Serving", "serve", "--port", str(web)),
        demo.running(
            "Reports are taken", "fleet", "serve", "--listen", f"127.0.0.1:{reports}",
            "--admin", f"127.0.0.1:{admin}", "--limit", "0",
        ),
        demo.running("Watching", "fleet", "guard", "--every", "1") as guard,
        multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool,
    ):  # fmt: skip
        demo.heading(f"A fleet of {demo.size} devices")
        with demo.step() as message:
            wanted = [(str(demo.folder), number, web, reports) for number in range(demo.size)]
            pool.map(enroll, wanted, chunksize=5)
            message.append(
                f"Enrolled {demo.size} devices, each with a store of its own. "
                "Their owners have agreed to report."
            )
        bad_letter(demo, pool, guard)
        show_reports(demo, admin, "a")
        fixed_letter(demo, pool)
        show_reports(demo, admin, "b")
        demo.console.print(
            f"\nOne bad letter, stopped by what devices reported, and one good letter everywhere: "
            f"{time.monotonic() - started:.0f} seconds.",
            soft_wrap=True,
        )
        if page:
            open_page(demo)


def prepare(demo: Demo) -> None:
    """Do what a vendor does once for each product and release."""
    demo.repoint("repository", "init", demo.folder / "repository")
    demo.repoint(
        "baseline", "add", PRODUCT, "--version", VERSION, "--build", "25D2128",
        "--platform", "linux-x86_64", "--component", f"player={demo.write_player('old', OLD)}",
        "--restart", "player=none", "--health", HEALTH,
    )  # fmt: skip
    (demo.folder / "advisory.toml").write_text(ADVISORY)


def publish(demo: Demo, letter: str, code: str, ramp: str) -> None:
    """Build an improvement and start its rollout."""
    demo.repoint(
        "improve", PRODUCT, "--version", VERSION, "--advisory", demo.folder / "advisory.toml",
        "--component", f"player={demo.write_player(letter, code)}",
    )  # fmt: skip
    demo.repoint("publish", PRODUCT, "--ramp", ramp)


def bad_letter(demo: Demo, pool: Pool, guard: subprocess.Popen[str]) -> None:
    """Publish a letter that fails, and see who gets it."""
    label = f"{VERSION} (a)"
    demo.heading("A bad letter")
    with demo.step() as message:
        publish(demo, "a", BAD, RAMP)
        message.append(f"Published {label} to a few devices first: {RAMP}. Nobody knows it is bad.")
    with demo.step() as message:
        seen = all_update(demo, pool)
        failed = sum(each.failed == "a" for each in seen)
        spared = sum(not each.failed and not each.in_force for each in seen)
        message.append(
            f"All devices looked for updates. {failed} took it: the health check failed, and they "
            f"returned to {VERSION} automatically. {spared} did not: their turn had not come, or "
            "the guard was quicker."
        )
    with demo.step() as message:
        message.append(f"[bold red]{halted(demo)}[/]. No person had to do anything.")
    with demo.step() as message:
        seen = all_update(demo, pool)
        more = sum(each.failed == "a" for each in seen) - failed
        message.append(
            f"All devices looked again: {more} more took it. "
            f"{sum(each.failed == '' for each in seen)} never had it."
        )


def fixed_letter(demo: Demo, pool: Pool) -> None:
    """Publish the next letter, and wait until all devices run it."""
    label = f"{VERSION} (b)"
    demo.heading("The fixed letter")
    with demo.step() as message:
        publish(demo, "b", FIXED, FAST_RAMP)
        message.append(f"Published {label}, quickly for this demo: {FAST_RAMP}.")
    deadline = time.monotonic() + 600
    reached = 0
    while reached < demo.size:
        if time.monotonic() > deadline:
            raise SystemExit(f"demo: only {reached} of {demo.size} devices have {label}")
        with demo.step() as message:
            seen = all_update(demo, pool)
            reached = sum(each.in_force == label for each in seen)
            message.append(f"{reached} of {demo.size} devices run {label}.")


def all_update(demo: Demo, pool: Pool) -> list[Seen]:
    """Make an update run on each device, and return the state that each reports."""
    wanted = [(str(demo.folder), number) for number in range(demo.size)]
    return pool.map(update_run, wanted, chunksize=5)


def halted(demo: Demo) -> str:
    """Wait until the guard has halted the letter; return what the vendor then sees."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for shown in json.loads(demo.repoint("rollout", "show", PRODUCT, "--json")):
            if shown["halt"]:
                label = f"{VERSION} ({shown['offer']['letter']})"
                return f"The guard halted {label}: {shown['halt']['reason']}"
        time.sleep(0.5)
    raise SystemExit("demo: the guard has not halted the letter")


def show_reports(demo: Demo, port: int, letter: str) -> None:
    """Show what the collector answers about a letter."""
    outcome: Counter[str] = Counter()
    address = f"http://127.0.0.1:{port}/api/v1/products/{PRODUCT}"
    for each in fetched(f"{address}/outcomes"):
        if each["letter"]["letter"] == letter:
            outcome.update({name: each[name] for name in ("tried", "confirmed", "failed")})
    reasons = {
        each["failure"] for each in fetched(f"{address}/failures")
        if each["letter"]["letter"] == letter
    }  # fmt: skip
    why = f" ({', '.join(sorted(reasons))})" if reasons else ""
    demo.console.print(
        f"   [dim]The collector says of ({letter}): {outcome['tried']} devices tried it, "
        f"{outcome['confirmed']} confirmed it, it failed on {outcome['failed']}{why}.[/]",
        soft_wrap=True,
    )


def fetched(address: str) -> list[dict[str, Any]]:
    """Return what the collector's interface answers."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        return list(json.load(answer))


def open_page(demo: Demo) -> None:
    """Serve the fleet page until Ctrl-C."""
    secret = demo.folder / "password"
    secret.write_text(PASSPHRASE)
    demo.repoint("fleet", "account", "add", "demo", "--role", "operator",
                 "--password-file", secret)  # fmt: skip
    demo.console.print(
        f"\nThe fleet page opens. Sign in as demo with the password {PASSPHRASE}. Ctrl-C ends it.",
        soft_wrap=True,
    )
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(
            demo.command("fleet", "open", "--listen", "127.0.0.1:0"), env=demo.environment
        )


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


if __name__ == "__main__":
    main()
