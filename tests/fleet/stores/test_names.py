"""Names that strangers make up leave room for those of the vendor, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import msgspec
import pytest
import sqlalchemy as sa

from repoint.fleet.records import LetterName, SignedNames
from repoint.fleet.stores import new_names
from repoint.fleet.stores.codes import letter_text
from repoint.fleet.stores.errors import TooManyNamesError
from repoint.fleet.stores.names import other_letters
from repoint.fleet.stores.opening import open_state
from repoint.fleet.stores.state import SqlState
from repoint.fleet.stores.tables import letters, revisions
from repoint.model.report import Report
from tests.fleet.reports import BASELINE, PRODUCT, count, event, new_id

DAY = 86_400
NOW = 1_790_000_000 // DAY * DAY


def named(letter: str, product: str = PRODUCT) -> LetterName:
    return LetterName(product, BASELINE.platform, BASELINE.version, BASELINE.build, letter)


SIGNED = SignedNames(
    frozenset({PRODUCT}), frozenset(map(named, ("", "a", "b"))), frozenset({"early"})
)


Opens = Callable[[SignedNames | None], SqlState]


@pytest.fixture
def opens(database: str) -> Iterator[Opens]:
    opened: list[SqlState] = []

    def opens(signed: SignedNames | None) -> SqlState:
        opened.append(open_state(database, clock=lambda: float(NOW), signed=lambda: signed))
        return opened[-1]

    yield opens
    for each in opened:
        each.close()


def made_up(number: int) -> list[Report]:
    return [event("staged", new_id(), letter_text(100 + n)) for n in range(number)]


def in_rings(number: int) -> list[Report]:
    return [event("staged", new_id(), ring=f"made-up-{n}") for n in range(number)]


def staged(state: SqlState) -> dict[tuple[LetterName, str], int]:
    return {(one.letter, one.ring): one.staged for one in state.outcomes(PRODUCT)}


def test_a_signed_letter_has_room_however_many_are_made_up(opens: Opens) -> None:
    state = opens(SIGNED)
    state.add(made_up(new_names.MAX_UNSIGNED + 100), NOW)
    state.add([event("staged", new_id(), "b")], NOW)
    found = staged(state)
    assert found[(named("b"), "")] == 1
    assert found[(other_letters(PRODUCT), "")] == 100
    assert len(found) == new_names.MAX_UNSIGNED + 2


def test_a_signed_ring_has_room_however_many_are_made_up(opens: Opens) -> None:
    state = opens(SIGNED)
    state.add(in_rings(new_names.MAX_UNSIGNED_RINGS + 100), NOW)
    state.add([event("staged", new_id(), ring="early")], NOW)
    found = staged(state)
    assert found[(named("a"), "early")] == 1
    assert found[(named("a"), "")] == 100, "the others count as in no ring"


def test_what_filled_the_room_before_there_were_signed_documents_takes_none_of_theirs(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_names, "MAX_OF_PRODUCT", 300)
    opens(None).add([*made_up(300), *in_rings(0)], NOW)
    state = opens(SIGNED)
    state.add([event("staged", new_id(), "a", ring="early")], NOW)
    assert staged(state)[(named("a"), "early")] == 1


def test_without_signed_documents_a_letter_without_room_is_refused_with_all_of_its_batch(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_names, "MAX_OF_PRODUCT", 2)
    state = opens(None)
    state.add([event("staged", new_id(), "a"), event("staged", new_id(), "b")], NOW)
    with pytest.raises(TooManyNamesError) as refused:
        state.add([event("staged", new_id(), "a"), event("staged", new_id(), "c")], NOW)
    assert refused.value.index == 1
    assert staged(state)[(named("a"), "")] == 1, "the whole batch is refused"
    state.add([event("staged", new_id(), "a")], NOW)
    state.add([event("staged", new_id(), product="other")], NOW)


def test_without_signed_documents_a_ring_without_room_counts_as_none(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_names, "MAX_WORDS", 2)
    state = opens(None)
    state.add(in_rings(5), NOW)
    assert staged(state)[(named("a"), "")] == 3


def test_a_version_of_the_agent_without_room_is_unknown(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_names, "MAX_WORDS", 1)
    state = opens(None)
    one, other = event("staged", new_id()), event("staged", new_id())
    state.add([one, msgspec.structs.replace(other, agent="9")], NOW)
    assert state.find(one.id)[0].agent == "0.1.0"
    assert state.find(other.id)[0].agent == ""


def test_the_new_names_of_reports_are_counted_before_they_are_taken(opens: Opens) -> None:
    state = opens(SIGNED)
    state.add([event("staged", new_id(), "a")], NOW)
    fresh = [event("staged", new_id(), "b"), event("staged", new_id(), "x"), *in_rings(3)]
    assert state.unsigned_names(fresh) == 4
    state.add(fresh, NOW)
    assert state.unsigned_names(fresh) == 0


def test_names_that_nobody_has_used_for_long_go_when_names_are_scarce(opens: Opens) -> None:
    state, other = opens(SIGNED), opens(SIGNED)
    state.add(
        [*made_up(150), *in_rings(80), event("staged", new_id(), "b", ring="early")],
        NOW - 200 * DAY,
    )
    state.add([event("staged", new_id(), "zz", ring="lab")], NOW)
    assert len(staged(other)) == 232
    state.prune(NOW, 90)
    for each in (state, other):
        assert staged(each) == {
            (named("zz"), "lab"): 1, (named("b"), "early"): 1, (named("a"), ""): 80
        }  # fmt: skip
    state.add(made_up(150), NOW)
    assert len(staged(other)) == 153


def test_names_that_nobody_has_used_for_long_stay_while_there_is_room(opens: Opens) -> None:
    state = opens(None)
    state.add(made_up(3), NOW - 200 * DAY)
    state.prune(NOW, 90)
    assert len(staged(state)) == 3


def test_names_in_use_stay_even_if_names_are_scarce(opens: Opens) -> None:
    state = opens(SIGNED)
    device, reports = new_id(), made_up(150)
    state.add([*reports, count("qq", device=device), count("rr")], NOW - 80 * DAY)
    state.prune(NOW, 90)
    assert len(staged(state)) == 150
    assert state.find(device)[0].letter == named("qq")


def test_a_product_may_have_more_letters_than_a_statement_has_parameters(
    opens: Opens, database: str
) -> None:
    state = opens(None)
    state.add([event("confirmed", new_id()), event("failed", new_id(), failure="health")], NOW)
    address = sa.make_url(database)
    driver = "postgresql+psycopg" if address.drivername == "postgresql" else address.drivername
    engine = sa.create_engine(address.set(drivername=driver))
    fields = {name: getattr(named(""), name) for name in LetterName.__struct_fields__}
    with engine.begin() as connection:
        rows = [fields | {"number": 10 + n, "letter": letter_text(1000 + n)} for n in range(33_000)]
        connection.execute(letters.insert(), rows)
        connection.execute(revisions.update().values(number=99))
    engine.dispose()
    assert state.outcomes(PRODUCT)[0].confirmed == 1
    assert state.failures(PRODUCT)[0].devices == 1
    assert len(state.adoption(PRODUCT, NOW)) == 1
    state.add([event("confirmed", new_id(), "zzz")], NOW)
    assert [one.letter.letter for one in state.adoption(PRODUCT, NOW)] == ["zzz"]


def test_each_move_comes_from_the_earlier_letter_that_most_devices_have(opens: Opens) -> None:
    state = opens(None)
    chance = random.Random(7)
    held = {letter_text(n): chance.randrange(1, 6) for n in range(1, 20)}
    state.add([count(letter) for letter, number in held.items() for _ in range(number)], NOW)
    moves = [letter_text(chance.randrange(1, 20)) for _ in range(60)]
    state.add([event("confirmed", new_id(), letter) for letter in moves], NOW)
    order = list(held)
    for letter in moves:
        earlier = order[: order.index(letter)]
        source = max(earlier, key=lambda one: (held[one], order.index(one)), default="")
        held[letter] += 1
        if source and held[source] > 0:
            held[source] -= 1
    found = {one.letter.letter: one.devices for one in state.adoption(PRODUCT, NOW)}
    assert found == {letter: number for letter, number in held.items() if number}
