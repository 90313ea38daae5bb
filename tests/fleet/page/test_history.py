"""What the page says of letters that were stopped: by whom, and for how long it matters."""

from __future__ import annotations

import re
import time

from repoint.model.halt import Halter
from repoint.publisher.catalog.catalogs import Selection
from repoint.publisher.improve.improve import ImprovementRequest
from repoint.publisher.publisher import Publisher
from repoint.publisher.rollout.plan import parse_ramp
from tests.fleet.page.conftest import World
from tests.fleet.page.served import Client, Served
from tests.fleet.page.vendor_world import ADVISORIES, ARM, INTEL, PRODUCT, B
from tests.world import FIXED, no_passphrase, write_tree

PANEL = f"product/{PRODUCT}/"
C = "26.3.1 (c)"
REASON = "It failed on 9 of 100 linux-aarch64 devices"


def publisher(world: World) -> Publisher:
    return Publisher(world.repository, passphrases=no_passphrase, clock=time.time)


def halt(world: World, platform: str | None = None, by: Halter = "guard") -> None:
    publisher(world).rollouts.halt(Selection(PRODUCT, B, platform), reason=REASON, by=by)


def publish_c(world: World, ramp: str) -> None:
    tree = write_tree(world.folder / "c", {**FIXED, "share/c": "c\n"})
    for baseline in (INTEL, ARM):
        publisher(world).improve(
            ImprovementRequest(PRODUCT, baseline, {"engine": tree}, ADVISORIES["b"])
        )
    publisher(world).publish(PRODUCT, steps=parse_ramp(ramp))


def verdict(text: str) -> str:
    found = re.search('<h2 id="verdict">(.*?)</h2>', text, re.DOTALL)
    assert found is not None
    return found[1].strip()


def test_a_halted_letter_is_history_once_a_later_one_is_published(
    page: Served, world: World
) -> None:
    client = Client.entered(page.port)
    halt(world)
    assert verdict(client.get(PANEL)) == f"{B} is halted"
    publish_c(world, "1% 100% over 1d")
    assert verdict(client.get(PANEL)) == f"{C} is reaching devices"
    publisher(world).rollouts.finish(Selection(PRODUCT, C))
    text = client.get(PANEL)
    assert "have every published fix in force" in verdict(text)
    earlier = text.partition('<details class="earlier">')[2].partition("</details>")[0]
    assert B in earlier
    assert REASON in earlier


def test_a_halted_letter_matters_again_if_the_later_one_is_withdrawn(
    page: Served, world: World
) -> None:
    client = Client.entered(page.port)
    halt(world)
    publish_c(world, "100%")
    publisher(world).withdraw(PRODUCT, C, reason="It breaks printing")
    assert verdict(client.get(PANEL)) == f"{B} is halted"


def test_a_halt_by_the_guard_is_on_the_card_and_in_the_audit_log(
    page: Served, world: World
) -> None:
    client = Client.entered(page.port)
    fields = client.sheet("promote", B, ARM.platform)
    halt(world, ARM.platform)
    for path in (PANEL, "audit"):
        text = client.get(path)
        assert "<strong>The guard</strong> halted 26.3.1 (b) of acme-kiosk on linux-aarch64" in text
        assert REASON in text
    assert "Halted by the guard " in client.get(PANEL)
    assert "<strong>The guard</strong> halted" in client.change("promote", fields)[1]
    publisher(world).rollouts.resume(Selection(PRODUCT, B, ARM.platform))
    assert "<strong>The guard</strong> halted" in client.get("audit")


def test_a_halt_by_a_person_is_not_said_to_be_the_guards(page: Served, world: World) -> None:
    client = Client.entered(page.port)
    halt(world, by="person")
    assert "The guard" not in client.get("audit")
    assert "Halted by the guard" not in client.get(PANEL)


def test_a_withdrawn_letter_shows_the_reason_of_the_withdrawal(page: Served, world: World) -> None:
    client = Client.entered(page.port)
    halt(world)
    publisher(world).withdraw(PRODUCT, B, reason="Replaced soon")
    text = client.get(PANEL)
    assert "Replaced soon" in text
    assert "Withdrawn " in text
