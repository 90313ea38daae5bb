"""What a machine that boots shows beside the main job: hangs, and restarts by the machine's own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from repoint.model.baseline import BaselineName, RestartScope
from repoint.model.improvement import Improvement
from repoint.model.system import System
from repoint.publisher.baselines import ComponentSource, Release
from repoint.publisher.improve.improve import ImprovementRequest
from repoint.publisher.publisher import Publisher
from repoint.repository.repository import Repository
from tests.machine.asking import decided, expect, read, say, started, wait_until
from tests.machine.image import LIBRARY, PASSCODE, TABLE
from tests.machine.machine import Machine
from tests.world import advisory, no_passphrase

NAME = BaselineName("linux-x86_64", "1.0", "1")


def register(
    repository: Repository, product: str, component: str, tree: Path, scope: RestartScope,
    system: System | None = None,
) -> None:  # fmt: skip
    """Register the baseline of a product with one component of the system."""
    sources = (ComponentSource(component, tree, restart=scope),)
    Publisher(repository, passphrases=no_passphrase).add_baseline(
        Release(product, NAME, sources, system)
    )


def release(
    repository: Repository, product: str, component: str, tree: Path, cve: str
) -> Improvement:
    """Publish the next letter, which fixes a CVE."""
    publisher = Publisher(repository, passphrases=no_passphrase)
    fixes = advisory(cve, component=component)
    publisher.improve(ImprovementRequest(product, NAME, {component: tree}, fixes))
    return publisher.publish(product)[-1]


def tree_of(folder: Path, files: Mapping[str, Path | str]) -> Path:
    """A tree as a package holds it."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content.read_bytes())
        place.chmod(0o644)
    return folder


def restart_of_the_machine(
    machine: Machine, repository: Repository, folder: Path, url: str
) -> None:
    """An improvement of scope ``system``: the Settings page, logind's countdown, the restart."""
    old = tree_of(folder / "core-old", {TABLE: "old table\n"})
    new = tree_of(folder / "core-new", {TABLE: "new table\n"})
    register(repository, "core", "table", old, "system")
    release(repository, "core", "table", new, "CVE-2026-0001")
    machine.run(f"repoint enroll {url} --product core --root /var/tmp/root.json --system table=/")
    machine.run("repoint agent install")
    machine.run("repoint check --product core")
    seen = machine.run(f"python3 /usr/lib/page.py core install '1.0 (a)' '{PASSCODE}'")
    staged = "readlink /var/lib/repoint/products/core/staged || true"
    wait_until(lambda: machine.run(staged).strip().endswith("-a"), seen)
    assert read(machine, "core")["staged"] == "1.0 (a)"
    say("the page has installed the improvement of scope system")
    output = machine.run("repoint restart --yes --product core")
    assert "This machine restarts at" in output, output
    scheduled = machine.run("cat /run/systemd/shutdown/scheduled")
    assert "MODE=reboot" in scheduled, scheduled
    assert "it restarts at" in machine.run("repoint status --product core")
    assert "The restart is cancelled" in machine.run("repoint restart --cancel")
    machine.run("test ! -e /run/systemd/shutdown/scheduled")
    assert "No restart was scheduled" in machine.run("repoint restart --cancel")
    assert machine.run(f"cat /{TABLE}") == "old table\n"
    say(f"logind counts down, and stops: {output.strip()}")
    seen = machine.run(f"python3 /usr/lib/page.py core restart '1.0 (a)' '{PASSCODE}'")
    # The page answers before its job has asked the repository and logind.
    scheduled = "cat /run/systemd/shutdown/scheduled || true"
    wait_until(lambda: "MODE=reboot" in machine.run(scheduled), seen)
    say(f"Restart & Install on the page: restarted in {machine.wait_for_restart():.0f} s")
    started(machine)
    assert machine.run(f"cat /{TABLE}") == "new table\n"
    decided(machine, "core")
    status = read(machine, "core")
    assert not status["on_trial"]
    assert (status["in_force"], status["protected"]) == ("1.0 (a)", True), status
    assert "confirmed" in machine.run("repoint history --product core")


def hang(machine: Machine, repository: Repository, folder: Path, codec: Path) -> None:
    """Stage a letter whose library never comes back to the service that loads it."""
    hanging = tree_of(folder / "hanging", {LIBRARY: codec})
    release(repository, "acme", "codec", hanging, "CVE-2026-0002")
    machine.run("repoint check --product acme")
    machine.run("repoint install --product acme")


def taken_back_by_itself(machine: Machine, letter: str) -> None:
    """A hanging letter was activated at this start: nobody does anything, and it is gone."""
    decided(machine, "acme")
    expect(machine, loaded_is=2, force="1.0 (a)", protected=False, product="acme")
    reported_as_failed(machine, letter)
    started(machine)
    assert machine.run("systemctl is-system-running || true") == "running\n"


def taken_back_after_resets(machine: Machine, letter: str) -> None:
    """The machine is reset three times while the letter hangs; the next start begins without it."""
    for number in range(1, 4):
        seconds = machine.restart() if number == 1 else machine.start()
        say(f"start {number} with a letter that hangs: {seconds:.0f} s")
        wait_until(lambda: service(machine) == "activating", "the service hangs")
        status = read(machine, "acme")
        assert (status["in_force"], status["on_trial"]) == (letter, True), status
        machine.cut_power()
    say(f"and the start after that: {machine.start():.0f} s")
    expect(machine, loaded_is=2, force="1.0 (a)", protected=False, product="acme")
    assert "codec" in machine.run("journalctl -b -u acme.service -o cat")
    assert machine.run("journalctl -b -u acme.service -o cat | grep -c Starting") == "1\n"
    reported_as_failed(machine, letter)


def reported_as_failed(machine: Machine, letter: str) -> None:
    """Status, history and journal say it, and it is not tried again."""
    available = read(machine, "acme")["available"]
    assert available["label"] == letter, available
    assert available["held_back"].startswith("failed here: "), available
    say(f"{letter} {available['held_back']}")
    history = machine.run("repoint history --product acme")
    assert re.search(rf"failed +{re.escape(letter)}", history), history
    journal = machine.run("journalctl REPOINT_EVENT=failed -o cat")
    assert f"{letter} failed" in journal, journal
    output = machine.run("repoint install --product acme", status=1)
    assert "is not tried again" in output, output


def shut_in(machine: Machine) -> None:
    """What systemd-analyze reports about our units there."""
    units = " ".join(f"repoint-{name}.service" for name in ("agent", "activate", "start", "page"))
    output = machine.run(f"systemd-analyze security --no-pager {units} | grep Overall")
    scores = dict(re.findall(r"(repoint-[a-z]+\.service): ([\d.]+)", output))
    assert float(scores["repoint-agent.service"]) <= 2.0, scores
    say("exposure by systemd-analyze: " + ", ".join(f"{n} {s}" for n, s in scores.items()))


def service(machine: Machine) -> str:
    """How the service goes."""
    return machine.run("systemctl is-active acme.service || true").strip()
