"""The whole scenario on a machine that really boots: ``make machine``.

A library below /usr with a known fault, used by a service: improved in the background, exposed until
the service restarts, in force, still in force after a start of the machine, removed, and the baseline
after another start. Then power cuts at random instants, each followed by a start.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

from repoint.model.records import BaselineName
from repoint.publisher.baselines import ComponentSource, add_baseline
from repoint.publisher.improve import improve
from repoint.publisher.publish import publish
from repoint.repository.repository import Repository
from tests.machine import layer_image
from tests.machine.image import LIBRARY, Image, library, make_image
from tests.machine.machine import Machine
from tests.serving import WebServer
from tests.world import advisory, no_passphrase

WORK_SECONDS = 25.0
"""About what an installation with its activation takes in the emulator."""

NAME = BaselineName("linux-x86_64", "1.0", "1")


def main() -> None:
    """Run it, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path(".cache/machine"))
    parser.add_argument("--cuts", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="use the disk image of the last run")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    old, new = library(folder, 1), library(folder, 2)
    image = Image(folder / "disk.raw", folder / "vmlinuz", folder / "initrd")
    if not (asked.keep and image.disk.exists()):
        make_image(image, folder, asked.package.resolve(), old)
    repository = vendor(folder, old, new)
    server = WebServer(repository.public)
    (folder / "machine.raw").unlink(missing_ok=True)
    machine = Machine(image, folder)
    try:
        scenario(machine, repository, server)
        layer_image.scenario(machine, folder)
        power_cuts(machine, asked.cuts, random.Random(asked.seed))
    finally:
        machine.stop()
        server.close()
    print("All of it was seen.")


def vendor(folder: Path, old: Path, new: Path) -> Repository:
    """A repository with the baseline and one improvement."""
    import shutil

    place = folder / "repository"
    shutil.rmtree(place, ignore_errors=True)
    repository = Repository.create(place, passphrase=None)
    trees = {}
    for name, codec in (("old", old), ("new", new)):
        trees[name] = folder / name
        shutil.rmtree(trees[name], ignore_errors=True)
        target = trees[name] / LIBRARY
        target.parent.mkdir(parents=True)
        shutil.copy(codec, target)
        target.chmod(0o644)
    add_baseline(
        repository, "acme", NAME, [ComponentSource("codec", trees["old"], restart="service")],
        passphrases=no_passphrase, new_passphrase=lambda: None, created=int(time.time()),
    )  # fmt: skip
    improve(
        repository, "acme", NAME, {"codec": trees["new"]}, advisory(component="codec"),
        letter=None, created=int(time.time()),
    )  # fmt: skip
    publish(repository, "acme", passphrases=no_passphrase, now=int(time.time()))
    return repository


def scenario(machine: Machine, repository: Repository, server: WebServer) -> None:
    """From enrolment to removal, over three starts."""
    say(f"booted in {machine.start():.0f} s")
    port = server.url.rpartition(":")[2]
    root = (repository.public / "metadata/1.root.json").read_text()
    machine.run(f"cat > /root/root.json <<'END'\n{root}\nEND")
    machine.run("systemctl start systemd-networkd-wait-online || true")
    say(machine.run(
        f"repoint enroll http://10.0.2.2:{port} --product acme --root /root/root.json "
        "--system codec=/ --program 'codec=systemctl restart acme.service'"
    ))  # fmt: skip
    say(machine.run("repoint agent install"))
    machine.run("repoint check")
    expect(machine, loaded=1, force="1.0", protected=False)
    machine.run("repoint install")
    status = read(machine)
    assert status["staged"] == "1.0 (a)", status
    assert [process["name"] for process in status["exposed"]] == ["python3"], status
    say("the service is exposed, and the improvement waits")
    say(machine.run("repoint restart --yes"))
    expect(machine, loaded=2, force="1.0 (a)", protected=True)
    say(machine.run("repoint status"))
    say(f"started again in {machine.restart():.0f} s")
    expect(machine, loaded=2, force="1.0 (a)", protected=True)
    machine.run("repoint remove; repoint restart --yes || true")
    expect(machine, loaded=1, force="1.0", protected=False)
    say(f"removed, and started again in {machine.restart():.0f} s")
    expect(machine, loaded=1, force="1.0", protected=False)


def power_cuts(machine: Machine, number: int, chance: random.Random) -> None:
    """Cut the power at random instants of an update and of a removal, and look after each."""
    for n in range(number):
        improved = read(machine)["in_force"] != "1.0"
        work = "remove" if improved else "install"
        instant = chance.uniform(0, WORK_SECONDS)
        machine.run(
            f"(repoint {work}; repoint restart --yes) >/dev/null 2>&1 & sleep {instant:.2f}"
        )
        machine.cut_power()
        seconds = machine.start()
        status = read(machine)
        runs = version(machine)
        assert (status["in_force"], runs) in (("1.0", 1), ("1.0 (a)", 2)), (status, runs)
        assert all(graft["in_place"] for graft in status["grafts"]), status
        say(
            f"power cut {n + 1}, {instant:.1f} s into {work}: {status['in_force']} is in force "
            f"(started in {seconds:.0f} s)"
        )


def expect(machine: Machine, *, loaded: int, force: str, protected: bool) -> None:
    """What the service runs, and what Repoint says of it, must agree."""
    status = read(machine)
    assert version(machine) == loaded, status
    assert (status["in_force"], status["protected"]) == (force, protected), status


def read(machine: Machine) -> dict[str, object]:
    """The status, as a record."""
    said: dict[str, object] = json.loads(machine.run("repoint status --json"))
    return said


def version(machine: Machine) -> int:
    """Which library the service has loaded, by what it wrote when it started."""
    for _ in range(60):
        said = machine.run("journalctl -q -b -u acme.service -o cat -n 50")
        lines = [line for line in said.splitlines() if line.startswith("codec ")]
        if lines and machine.run("systemctl is-active acme.service || true") == "active\n":
            return int(lines[-1].split()[1])
        time.sleep(1)
    raise AssertionError("the service does not start")


def say(text: str) -> None:
    """Show what was seen."""
    print(text.rstrip(), flush=True)


if __name__ == "__main__":
    main()
