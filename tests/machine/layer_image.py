"""Test a layer as an image on a machine that boots: what the kernel's verification achieves.

::

    python -m tests.machine.layer_image --package build/deb/repoint_….deb

It can also run on a machine that is already on, see `scenario`: it uses a separate store.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import time
from pathlib import Path
from typing import Any

from repoint.model.improvement import Improvement
from repoint.model.system import read_system
from repoint.repository.repository import Repository
from tests.machine.asking import loaded, say
from tests.machine.image import LIBRARY, image_in, library, make_image
from tests.machine.machine import Machine
from tests.machine.scenes import register, release, tree_of
from tests.serving import WebServer

PRODUCT = "acme-image"
STORE = "/var/lib/repoint-image"
RAW = f"{STORE}/products/{PRODUCT}/images/1.0-1-a/layer.raw"
OFFERED = f"/run/extensions/repoint-{PRODUCT}"
WORK_SECONDS = 20.0
"""About what an installation with its activation takes in the emulator."""
MARK = b"what only the improved library holds"


def main() -> None:
    """Run the scenario on a separate machine and print each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path(".cache/machine-image"))
    parser.add_argument("--keep", action="store_true", help="use the disk image of the last run")
    parser.add_argument("--cuts", type=int, default=3)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    old = library(folder, 1)
    image = image_in(folder)
    if not (arguments.keep and image.disk.exists()):
        make_image(image, folder, arguments.package.resolve(), old)
    (folder / "machine.raw").unlink(missing_ok=True)
    machine = Machine(image, folder)
    try:
        say(f"booted in {machine.start():.0f} s")
        scenario(machine, folder, cuts=arguments.cuts)
    finally:
        machine.stop()
    print("All of it was seen.")


def scenario(machine: Machine, folder: Path, *, cuts: int = 0) -> None:
    """Run on a machine that is on, whose base has version 1 of the library and nothing merged."""
    system = machine.run("cat /etc/os-release")
    repository, improvement = vendor(folder, system)
    server = WebServer(repository.public)
    try:
        enrol(machine, repository, server)
        see_it_merged(machine, improvement)
        see_nothing_left_behind(machine)
        see_a_changed_byte_refused(machine)
        see_systemd_refuse_by_itself(machine, improvement)
        see_it_after_a_start(machine)
        power_cuts(machine, cuts, random.Random(cuts))
        repoint(machine, "remove")
        repoint(machine, "restart --yes || true")
        assert loaded(machine) == 1
        repoint(machine, "unenroll")
    finally:
        server.close()


def vendor(folder: Path, os_release: str) -> tuple[Repository, Improvement]:
    """Return a repository with a baseline that names its system, and one improvement."""
    place = folder / "repository-image"
    shutil.rmtree(place, ignore_errors=True)
    repository = Repository.create(place, passphrase=None)
    old = tree_of(folder / "old-image", {LIBRARY: library(folder, 1)})
    new = tree_of(folder / "new-image", {LIBRARY: library(folder, 2)})
    # A linker ignores trailing bytes. So there are blocks that no process has in memory.
    with (new / LIBRARY).open("ab") as file:
        file.write(bytes(64 << 10) + MARK + bytes(64 << 10))
    system = read_system(os_release, "the machine's os-release")
    register(repository, PRODUCT, "codec", old, "service", system)
    return repository, release(repository, PRODUCT, "codec", new, "CVE-2023-4863")


def enrol(machine: Machine, repository: Repository, server: WebServer) -> None:
    """Enrol the product and bring the improvement into force."""
    root = (repository.public / "metadata/1.root.json").read_text()
    machine.run(f"cat > /var/tmp/root-image.json <<'END'\n{root}\nEND")
    machine.run("systemctl start systemd-networkd-wait-online || true")
    port = server.url.rpartition(":")[2]
    say(repoint(machine, f"enroll http://10.0.2.2:{port} --product {PRODUCT} "
                         "--root /var/tmp/root-image.json --system codec=/ "
                         "--program 'codec=systemctl restart acme.service'"))  # fmt: skip
    repoint(machine, "check")
    say(repoint(machine, "install"))
    started = time.monotonic()
    say(repoint(machine, "restart --yes"))
    say(f"switched and restarted the service in {time.monotonic() - started:.1f} s")


def see_it_merged(machine: Machine, improvement: Improvement) -> None:
    """Check that it is in force, from a device that the kernel verifies with the signed root hash."""
    assert improvement.extension is not None
    assert loaded(machine) == 2
    status = read(machine)
    assert (status["in_force"], status["protected"]) == ("1.0 (a)", True), status
    assert [graft["layer"] for graft in status["grafts"]] == ["image"], status
    say(repoint(machine, "status"))
    tables = machine.run("dmsetup table")
    say(tables)
    assert f" sha256 {improvement.extension.root_hash} " in tables, tables
    say(
        machine.run("cat /sys/block/dm-*/dm/uuid; losetup --list --noheadings -O NAME,RO,BACK-FILE")
    )
    printed = repoint(machine, "history")
    assert "merged as an image" in printed, printed


def see_nothing_left_behind(machine: Machine) -> None:
    """Check that a removal leaves no kernel device and no offered extension."""
    repoint(machine, "remove")
    repoint(machine, "restart --yes || true")
    assert loaded(machine) == 1
    assert (left := devices(machine)) == (0, 0), left
    assert machine.run("ls /run/extensions") == ""
    say("removed: no dm-verity device, no loop device, nothing offered")
    repoint(machine, "install")
    repoint(machine, "restart --yes")
    assert loaded(machine) == 2


def see_a_changed_byte_refused(machine: Machine) -> None:
    """Check that a changed byte of the image gives a read error, never the changed byte."""
    machine.run("systemctl stop acme.service")
    flip(machine, MARK)
    printed = machine.run(f"cat /{LIBRARY} > /dev/null", status=1)
    assert "Input/output error" in printed, printed
    say(printed)
    kernel = machine.run("journalctl -q -b -k -o cat --grep verity | tail -3")
    assert "corrupted" in kernel, kernel
    say(kernel)
    status = read(machine)
    assert not status["protected"], status
    assert [graft["layer"] for graft in status["grafts"]] == ["damaged"], status
    say(repoint(machine, "status"))
    repoint(machine, "check")
    status = read(machine)
    assert status["protected"], status
    assert [graft["layer"] for graft in status["grafts"]] == ["image"], status
    printed = repoint(machine, "history")
    assert printed.count("repaired") == 1, printed
    say(printed)
    machine.run("systemctl start acme.service")
    assert loaded(machine) == 2
    assert (shown := devices(machine, (1, 2))) == (1, 2), shown


def see_systemd_refuse_by_itself(machine: Machine, improvement: Improvement) -> None:
    """Check that systemd alone merges neither a changed image nor another root hash."""
    assert improvement.extension is not None
    repoint(machine, "system unmerge")
    machine.run("systemctl stop acme.service")
    for what, offset, root_hash in (
        ("a changed superblock", 1024, improvement.extension.root_hash),
        ("another root hash", None, "0" * 64),
    ):
        machine.run(f"cp {RAW} /var/tmp/layer.raw; cp {RAW[:-3]}verity {OFFERED}.verity")
        if offset is not None:
            machine.run(
                f"printf x | dd of=/var/tmp/layer.raw bs=1 seek={offset} conv=notrunc status=none"
            )
        machine.run(
            f"echo {root_hash} > {OFFERED}.roothash; ln -sf /var/tmp/layer.raw {OFFERED}.raw"
        )
        printed = machine.run(
            "systemd-sysext merge 2>&1; echo status $?; ls /usr/.systemd-sysext", status=2
        )
        say(f"{what}: {printed}")
        machine.run(f"rm {OFFERED}.*; systemd-sysext refresh")
        assert (left := devices(machine)) == (0, 0), left
    repoint(machine, "system merge")
    machine.run("systemctl start acme.service")
    assert loaded(machine) == 2


def see_it_after_a_start(machine: Machine) -> None:
    """Check that the start alone merges nothing, and that a changed image is repaired."""
    flip(machine, MARK)
    say(f"started again in {machine.restart():.0f} s")
    assert loaded(machine) == 1
    assert (left := devices(machine)) == (0, 0), left
    started = time.monotonic()
    repoint(machine, "system merge")
    say(f"looked at the base and merged in {time.monotonic() - started:.1f} s")
    status = read(machine)
    assert [graft["layer"] for graft in status["grafts"]] == ["image"], status
    assert [p["name"] for p in status["exposed"]] == ["python3"], status
    printed = repoint(machine, "history")
    assert printed.count("repaired") == 2, printed
    repoint(machine, "restart --yes")
    assert loaded(machine) == 2
    assert read(machine)["protected"]


def power_cuts(machine: Machine, number: int, chance: random.Random) -> None:
    """Cut the power at random instants of an installation and of a removal, and check after each."""
    for n in range(number):
        work = "remove" if read(machine)["in_force"] != "1.0" else "install"
        instant = chance.uniform(0, WORK_SECONDS)
        machine.run(f"(export REPOINT_STORE={STORE}; repoint {work}; repoint restart --yes) "
                    f">/dev/null 2>&1 & sleep {instant:.2f}")  # fmt: skip
        machine.cut_power()
        seconds = machine.start()
        assert loaded(machine) == 1
        repoint(machine, "system merge")
        status = read(machine)
        expected = {"1.0": "", "1.0 (a)": "image"}[str(status["in_force"])]
        (graft,) = status["grafts"]
        assert (graft["in_place"], graft["layer"]) == (True, expected), status
        repoint(machine, "restart --yes || true")
        assert loaded(machine) == (2 if read(machine)["in_force"] == "1.0 (a)" else 1)
        say(
            f"power cut {n + 1}, {instant:.1f} s into {work}: {status['in_force']} is in force "
            f"(started in {seconds:.0f} s)"
        )
    if read(machine)["in_force"] == "1.0":
        repoint(machine, "install || true")
        repoint(machine, "restart --yes || true")


def flip(machine: Machine, mark: bytes) -> None:
    """Change one bit of the image in the store, and drop all caches."""
    machine.run(
        f"python3 -c \"import mmap; f = open('{RAW}', 'r+b'); m = mmap.mmap(f.fileno(), 0); "
        f'n = m.find({mark!r}); assert n > 0; m[n] ^= 1; m.flush()"; '
        "sync; echo 3 > /proc/sys/vm/drop_caches"
    )


def devices(machine: Machine, expected: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """Return the numbers of dm-verity and loop devices for images, after pending removals.

    The kernel keeps a device while a process has the layer in mounts of its own. The agent's
    service is such a process, and a timer may start it at any moment.
    """
    found = (0, 0)
    for _ in range(600):
        uuids = machine.run("cat /sys/block/dm-*/dm/uuid 2>/dev/null || true").split()
        loops = machine.run("losetup --list --noheadings -O NAME").split()
        # The verified root is not an image; it has no loop device below it.
        found = (sum("-loop" in uuid or len(uuid) > 100 for uuid in uuids), len(loops))
        if found == expected:
            break
        time.sleep(0.5)
    return found


def repoint(machine: Machine, command: str) -> str:
    """Return a command that uses the store of this test."""
    return machine.run(f"export REPOINT_STORE={STORE}; repoint {command}")


def read(machine: Machine) -> dict[str, Any]:
    """Return the status as a record."""
    printed: dict[str, Any] = json.loads(repoint(machine, "status --json"))
    return printed


if __name__ == "__main__":
    main()
