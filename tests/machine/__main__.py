"""Run the whole scenario on a machine that boots: ``make machine``.

A service uses a faulty library below /usr, on a root file system that dm-verity checks. The agent's own
service installs the improvement in the background. The service is exposed until it restarts; then the
improvement is in force, also after a restart of the machine. It is removed, and after another restart
the baseline is in force. Then follow: the same as an image; power cuts at random instants, each
followed by a start; restarts of the machine by logind's countdown and by the Settings page; and
improvements that hang the service.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

from repoint.repository.repository import Repository
from tests.machine import layer_image
from tests.machine.asking import decided, expect, loaded, read, say, started
from tests.machine.image import LIBRARY, image_in, library, make_image
from tests.machine.machine import Machine
from tests.machine.scenes import (
    hang,
    register,
    release,
    restart_of_the_machine,
    shut_in,
    taken_back_after_resets,
    taken_back_by_itself,
    tree_of,
)
from tests.serving import WebServer

WORK_SECONDS = 25.0
"""About what an installation with its activation takes in the emulator."""


def main() -> None:
    """Run the scenario and print each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path(".cache/machine"))
    parser.add_argument("--cuts", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="use the disk image of the last run")
    parser.add_argument("--plain", action="store_true", help="one writable disk, without dm-verity")
    arguments = parser.parse_args()
    begun = time.monotonic()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    old, new = library(folder, 1), library(folder, 2)
    image = image_in(folder, verity=not arguments.plain)
    if not (arguments.keep and image.disk.exists()):
        make_image(image, folder, arguments.package.resolve(), old)
    say(f"the image is made ({time.monotonic() - begun:.0f} s)")
    repository = vendor(folder, old, new)
    server = WebServer(repository.public)
    (folder / "machine.raw").unlink(missing_ok=True)
    machine = Machine(image, folder)
    try:
        scenario(machine, repository, server)
        layer_image.scenario(machine, folder)
        power_cuts(machine, arguments.cuts, random.Random(arguments.seed))
        improve_again(machine)
        hangs(machine, repository, folder, outside(server))
    finally:
        machine.stop()
        server.close()
    say(f"All of it was seen, in {(time.monotonic() - begun) / 60:.0f} minutes.")


def vendor(folder: Path, old: Path, new: Path) -> Repository:
    """Return a repository with the baseline and one improvement."""
    import shutil

    place = folder / "repository"
    shutil.rmtree(place, ignore_errors=True)
    repository = Repository.create(place, passphrase=None)
    register(repository, "acme", "codec", tree_of(folder / "old", {LIBRARY: old}), "service")
    release(repository, "acme", "codec", tree_of(folder / "new", {LIBRARY: new}),
            "CVE-2023-4863")  # fmt: skip
    return repository


def outside(server: WebServer) -> str:
    """Return the server's address as the machine sees it."""
    return f"http://10.0.2.2:{server.url.rpartition(':')[2]}"


def scenario(machine: Machine, repository: Repository, server: WebServer) -> None:
    """Go from enrolment to removal, over three starts."""
    say(f"booted in {machine.start():.0f} s")
    started(machine)
    if machine.image.root is not None:
        checked_by_verity(machine)
    root = (repository.public / "metadata/1.root.json").read_text()
    machine.run(f"cat > /var/tmp/root.json <<'END'\n{root}\nEND")
    machine.run("systemctl start systemd-networkd-wait-online || true")
    say(machine.run(
        f"repoint enroll {outside(server)} --product acme --root /var/tmp/root.json "
        "--system codec=/ --program 'codec=systemctl restart acme.service'"
    ))  # fmt: skip
    say(machine.run("repoint agent install"))
    shut_in(machine)
    machine.run("systemctl start repoint-agent.service")
    expect(machine, loaded_is=1, force="1.0", protected=False)
    status = read(machine)
    assert status["staged"] == "1.0 (a)", status
    assert [process["name"] for process in status["exposed"]] == ["python3"], status
    say("a round of the agent has staged it; the service is exposed until it restarts")
    say(machine.run("repoint restart --yes"))
    expect(machine, loaded_is=2, force="1.0 (a)", protected=True)
    assert not read(machine)["on_trial"]
    say(machine.run("repoint status"))
    say(f"started again in {machine.restart():.0f} s")
    started(machine)
    expect(machine, loaded_is=2, force="1.0 (a)", protected=True)
    machine.run("repoint remove; repoint restart --yes || true")
    expect(machine, loaded_is=1, force="1.0", protected=False)
    say(f"removed, and started again in {machine.restart():.0f} s")
    started(machine)
    expect(machine, loaded_is=1, force="1.0", protected=False)


def checked_by_verity(machine: Machine) -> None:
    """Check that the root, including /usr, is verified by dm-verity and read-only."""
    assert machine.run("findmnt --noheadings --output SOURCE,FSTYPE /").split() == [
        "/dev/mapper/root", "ext4",
    ]  # fmt: skip
    printed = machine.run("veritysetup status root")
    assert "verified" in printed, printed
    assert machine.image.root_hash in printed, printed
    machine.run(f"touch /{LIBRARY}", status=1)
    say("the root file system is read-only ext4, checked by dm-verity")


def power_cuts(machine: Machine, number: int, chance: random.Random) -> None:
    """Cut the power at random instants of an update and of a removal, and check after each."""
    for n in range(number):
        improved = read(machine)["in_force"] != "1.0"
        work = "remove" if improved else "install"
        instant = chance.uniform(0, WORK_SECONDS)
        machine.run(
            f"(repoint {work}; repoint restart --yes) >/dev/null 2>&1 & sleep {instant:.2f}"
        )
        machine.cut_power()
        seconds = machine.start()
        runs = loaded(machine)
        status = read(machine)
        assert (status["in_force"], runs) in (("1.0", 1), ("1.0 (a)", 2)), (status, runs)
        assert all(graft["in_place"] for graft in status["grafts"]), status
        say(
            f"power cut {n + 1}, {instant:.1f} s into {work}: {status['in_force']} is in force "
            f"(started in {seconds:.0f} s)"
        )


def improve_again(machine: Machine) -> None:
    """Bring the first improvement into force and confirm it, whatever the power cuts left."""
    machine.run("systemctl start systemd-networkd-wait-online || true")
    if read(machine)["in_force"] == "1.0":
        machine.run("repoint check; repoint install; repoint restart --yes || true")
    decided(machine, "acme")
    expect(machine, loaded_is=2, force="1.0 (a)", protected=True)


def hangs(machine: Machine, repository: Repository, folder: Path, url: str) -> None:
    """Release two letters that hang the service: both are rolled back, one after three resets."""
    hang(machine, repository, folder, library(folder, 3, hangs=True))
    restart_of_the_machine(machine, repository, folder, url)
    taken_back_by_itself(machine, "1.0 (b)")
    hang(machine, repository, folder, library(folder, 4, hangs=True))
    taken_back_after_resets(machine, "1.0 (c)")


if __name__ == "__main__":
    main()
