"""What people read about a restart is true with and without background updates."""

from __future__ import annotations

import msgspec
import pytest

from repoint.agent.journal_events import display_name
from repoint.agent.overview.descriptions import describe_activation, describe_activation_or_restart
from repoint.agent.overview.headline import headline
from repoint.agent.overview.overview import Overview, read_overview
from repoint.agent.plan import Plan, Reason, Step
from repoint.agent.update_run import UpdateRun
from repoint.device.store.records import LastCheck
from repoint.model.baseline import About
from tests.places import Place


@pytest.fixture
def overview(place: Place) -> Overview:
    place.enroll()
    return read_overview(place.device, None)


ENDS: dict[Reason, str] = {
    "service": "the next time this machine starts",
    "session": "at the next login",
    "system": "the next time this machine starts",
}


@pytest.mark.one_quick
@pytest.mark.parametrize("reason", ENDS)
def test_a_start_activates_only_where_background_updates_run(
    overview: Overview, reason: Reason
) -> None:
    waiting = msgspec.structs.replace(overview, plan=Plan(activate=Step(None, reason)))
    attended = msgspec.structs.replace(waiting, attended=True)
    assert describe_activation(attended) == ENDS[reason]
    assert describe_activation_or_restart(attended) == f"{ENDS[reason]}, or with `repoint restart`"
    unattended = msgspec.structs.replace(waiting, attended=False)
    expected = "with `repoint restart`: background updates do not run here"
    assert describe_activation(unattended) == expected
    assert describe_activation_or_restart(unattended) == expected


def test_a_removal_that_waits_does_not_say_that_a_fix_waits(overview: Overview) -> None:
    status = msgspec.structs.replace(overview.status, verdict="restart", in_force="26.3.1 (a)")
    waiting = msgspec.structs.replace(overview, status=status, removal_staged=True)
    assert headline(waiting) == "26.3.1 (a) is in force until a restart finishes its removal."


def test_a_run_is_reported_with_the_name_for_people(overview: Overview) -> None:
    named = msgspec.structs.replace(overview, about=About(name="Acme Kiosk"))
    assert display_name(UpdateRun("acme-kiosk", named)) == "Acme Kiosk"
    assert display_name(UpdateRun("acme-kiosk")) == "acme-kiosk"


def test_what_was_replaced_comes_with_the_advice_of_the_check_that_looked_at_it(
    overview: Overview,
) -> None:
    graft = msgspec.structs.replace(overview.status.grafts[0], in_place=False)
    status = msgspec.structs.replace(overview.status, verdict="replaced", grafts=(graft,))
    replaced = msgspec.structs.replace(overview, status=status)
    assert headline(replaced) == ("Unknown: engine was replaced from outside. Run `repoint check`.")
    note = "27.0 has other components. Run `repoint graft add codec=…`"
    looked = LastCheck(when=2, succeeded=2, note=note)
    status = msgspec.structs.replace(status, last_check=looked)
    replaced = msgspec.structs.replace(replaced, status=status)
    assert headline(replaced) == f"Unknown: engine was replaced from outside. {note}."
