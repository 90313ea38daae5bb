"""Results that found nothing to do, and restarts that could not start everything again."""

from __future__ import annotations

import pytest

from repoint.device.activate.restart import Restarted
from repoint.device.errors import NothingToDoError
from repoint.device.outcomes import Nothing, require_done
from repoint.device.store.records import Generation
from repoint.host.programs import StartedProgram

GENERATION = Generation("26.3.1", "25D2128", "a")


def test_what_is_done_already_is_no_refusal() -> None:
    assert not Nothing("up to date", "acme is up to date").is_refusal
    assert not Nothing("already staged", "26.3.1 (a) is staged already").is_refusal
    assert Nothing("failed here", "26.3.1 (a) failed on this device").is_refusal


def test_a_person_who_asked_gets_the_message_and_the_hint_as_an_error() -> None:
    nothing = Nothing("nothing staged", "Nothing is staged", "Run `repoint check`")
    with pytest.raises(NothingToDoError) as refused:
        require_done(nothing)
    assert str(refused.value) == str(nothing) == "Nothing is staged. Run `repoint check`"
    assert require_done(GENERATION) is GENERATION


def test_a_restart_names_what_it_could_not_start() -> None:
    missing = StartedProgram("viewer --full", "there is no such program")
    error = Restarted(GENERATION, None, (), (), (missing,)).start_error()
    assert error is not None
    assert "viewer --full: there is no such program" in error.message
    assert Restarted(GENERATION, None, (), ("viewer",)).start_error() is None
