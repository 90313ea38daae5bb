"""What an improvement claims to fix, compared with every earlier letter, also withdrawn ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from repoint.model.advisory import Advisory, Fix
from repoint.model.errors import InvalidRecordError, RepointError
from repoint.model.improvement import ImprovedComponent, Improvement, LetteredAdvisory
from repoint.model.tree import Layer
from repoint.publisher.catalog.claims import Claims, Corrections, claims_of
from repoint.publisher.errors import (
    AlreadyWithdrawnError,
    LetterTakenError,
    LostFixesError,
    NothingChangedError,
    UnknownFixError,
    UnknownImprovementError,
)
from tests.world import FIXED, NAME, OLD, Vendor, advisory

X, Y, Z, W = "CVE-2026-1000", "CVE-2026-2000", "CVE-2026-3000", "CVE-2026-4000"


def advisory_of(
    letter: str, *cves: str, component: str = "engine", text: str = "t"
) -> LetteredAdvisory:
    return LetteredAdvisory(letter, Advisory(text, (Fix(cves, component, text, text),)))


def letter(*advisories: LetteredAdvisory, dropped: tuple[str, ...] = ()) -> Improvement:
    return Improvement(
        format="1.0", product="acme-kiosk", baseline=NAME, letter=advisories[-1].letter, created=1,
        advisories=advisories, components=(ImprovedComponent("engine", "1", Layer((), ()), 0),),
        dropped=dropped,
    )  # fmt: skip


A = letter(advisory_of("a", X))
B = letter(advisory_of("a", X), advisory_of("b", Y))
NO_ID = letter(advisory_of("a", text="a leak"))


def claims(
    new: LetteredAdvisory,
    before: Improvement | None,
    earlier: tuple[Improvement, ...],
    drop: tuple[str, ...] = (),
    rename: dict[str, str] | None = None,
    retract: tuple[str, ...] = (),
) -> Claims:
    return claims_of(new, before, earlier, Corrections(drop, rename or {}, retract))


def cves(found: Claims) -> list[str]:
    return [cve for each in found.advisories for cve in each.advisory.cves()]


@pytest.mark.parametrize(
    ("new", "before", "earlier", "drop", "rename", "fixed", "dropped"),
    [
        pytest.param(advisory_of("a", X), None, (), (), {}, [X], (), id="the first letter"),
        pytest.param(advisory_of("b", Y), A, (A,), (), {}, [X, Y], (), id="cumulative"),
        pytest.param(advisory_of("c", Z, Y), A, (A, B), (), {}, [X, Z, Y], (),
                     id="after a withdrawal, with its fix again"),
        pytest.param(advisory_of("c", Z), A, (A, B), (Y,), {}, [X, Z], (Y,),
                     id="after a withdrawal, without its fix"),
        pytest.param(advisory_of("d", W), letter(advisory_of("a", X), advisory_of("c", Z), dropped=(Y,)),
                     (A, B, letter(advisory_of("a", X), advisory_of("c", Z), dropped=(Y,))), (), {},
                     [X, Z, W], (Y,), id="what the letter before lacks is not asked again"),
        pytest.param(advisory_of("d", Y), letter(advisory_of("a", X), advisory_of("c", Z), dropped=(Y,)),
                     (A, B), (), {}, [X, Z, Y], (), id="what was dropped is fixed again"),
        pytest.param(advisory_of("b", Y), A, (A,), (), {X: W}, [W, Y], (), id="a wrong id is corrected"),
        pytest.param(advisory_of("b", W), A, (A,), (), {X: W}, [W, W], (), id="corrected to a new one"),
        pytest.param(advisory_of("b", Y), None, (NO_ID,), ("a:1",), {}, [Y], ("a:1",),
                     id="a fix without an id is dropped by letter and number"),
        pytest.param(advisory_of("c", X), None, (letter(advisory_of("b", X, component="shell")),), (X,), {},
                     [X], (X,), id="moved to another component, and the vendor says so"),
    ],
)  # fmt: skip
def test_what_the_next_letter_claims(
    new: LetteredAdvisory,
    before: Improvement | None,
    earlier: tuple[Improvement, ...],
    drop: tuple[str, ...],
    rename: dict[str, str],
    fixed: list[str],
    dropped: tuple[str, ...],
) -> None:
    found = claims(new, before, earlier, drop, rename)
    assert (cves(found), found.dropped) == (fixed, dropped)


def test_what_was_never_fixed_is_taken_back() -> None:
    found = claims(advisory_of("b", Y), A, (A,), retract=(X,))
    assert (cves(found), found.dropped) == ([Y], (X,))
    found = claims(advisory_of("b", Y), NO_ID, (NO_ID,), retract=("a:1",))
    assert (cves(found), found.dropped) == ([Y], ("a:1",))
    with pytest.raises(UnknownFixError, match="Leave out one of them"):
        claims(advisory_of("b", X), A, (A,), retract=(X,))


@pytest.mark.parametrize(
    ("new", "before", "earlier", "drop", "rename", "error", "output"),
    [
        pytest.param(advisory_of("c", Z), A, (A, B), (), {}, LostFixesError,
                     f"{Y} in engine \\(b\\).* --drop-fix {Y}", id="the withdrawn letter's fix"),
        pytest.param(advisory_of("c", Z), None, (A, B), (Y,), {}, LostFixesError,
                     f"lose a fix .*{X} in engine \\(a\\)", id="one of two is not named"),
        pytest.param(advisory_of("c", Z), None, (A, B), (), {}, LostFixesError, "lose 2 fixes",
                     id="both withdrawn"),
        pytest.param(advisory_of("b", X, component="shell"), None, (A,), (), {}, LostFixesError,
                     f"{X} in engine", id="moved to another component"),
        pytest.param(advisory_of("b", Y), None, (NO_ID,), (), {}, LostFixesError, "--drop-fix a:1",
                     id="a fix without an id"),
        pytest.param(advisory_of("b", Y), A, (A,), (W,), {}, UnknownFixError,
                     f"No earlier letter of this baseline fixes '{W}'. They fix: {X}",
                     id="drops what nobody fixed"),
        pytest.param(advisory_of("b", Y), A, (A,), (X,), {}, UnknownFixError,
                     f"{X} would not be lost.* --retract-fix {X}", id="drops what it inherits"),
        pytest.param(advisory_of("b", Y), A, (A,), (), {W: X}, UnknownFixError, f"fixes '{W}'",
                     id="renames what nobody fixed"),
        pytest.param(advisory_of("a", Y), None, (), (W,), {}, UnknownFixError, "They fix: nothing",
                     id="drops in the first letter"),
        pytest.param(advisory_of("b", X), A, (A,), (X,), {}, UnknownFixError, "Leave out one of them",
                     id="drops what it fixes"),
        pytest.param(advisory_of("b", Y), A, (A,), (), {X: "CVE-1"}, InvalidRecordError,
                     "not a CVE id", id="renames to no id"),
        pytest.param(advisory_of("b", Y), A, (A,), ("\x1b[2J" * 50,), {}, UnknownFixError,
                     r"fixes '\\x1b", id="a name with control characters"),
    ],
)  # fmt: skip
def test_what_is_refused(
    new: LetteredAdvisory,
    before: Improvement | None,
    earlier: tuple[Improvement, ...],
    drop: tuple[str, ...],
    rename: dict[str, str],
    error: type[RepointError],
    output: str,
) -> None:
    with pytest.raises(error, match=output) as caught:
        claims(new, before, earlier, drop, rename)
    assert caught.value.hint and "\n" not in str(caught.value)


def test_an_advisory_for_a_component_that_does_not_change_is_refused(vendor: Vendor) -> None:
    with pytest.raises(NothingChangedError, match="for shell, which this improvement does not"):
        vendor.improve({"engine": FIXED}, texts=advisory(X, component="shell"))
    vendor.improve({"engine": FIXED}, X)
    with pytest.raises(NothingChangedError):
        vendor.improve({"engine": OLD}, Y)
    assert [d.improvement.letter for d in vendor.publisher.drafts(vendor.product)] == ["a"]


@pytest.mark.parametrize(
    ("reason", "output"),
    [
        ("", "The reason is empty"),
        (" \t \n", "The reason is empty"),
        ("x" * 100_000, "The reason is longer than 1,000 characters"),
        ("a\x1b[31mb", "control character U\\+001B"),
        ("a\nb", "more than one line"),
        ("a\tb", "control character U\\+0009"),
        ("a\x00b", "control character U\\+0000"),
        ("a\u202eb", "control character U\\+202E"),
        ("a\u2028b", "control character U\\+2028"),
        ("a\udcffb", "control character U\\+DCFF"),
    ],
)
def test_a_reason_that_nobody_can_read_is_refused(
    offered: Vendor, reason: str, output: str
) -> None:
    with pytest.raises(InvalidRecordError, match=output) as caught:
        offered.withdraw("a", reason)
    assert caught.value.hint and len(str(caught.value)) < 200


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    made = Vendor(tmp_path_factory.mktemp("offered"))
    made.baseline()
    made.release({"engine": {**FIXED, "a": "a"}}, X)
    return made


def test_a_second_withdrawal_is_refused_and_keeps_the_first_reason(vendor: Vendor) -> None:
    vendor.release({"engine": FIXED}, X)
    vendor.withdraw("a", "  it crashes  ")
    with pytest.raises(AlreadyWithdrawnError, match="is already withdrawn: it crashes"):
        vendor.withdraw("a", "another reason")
    (product,) = vendor.publisher.show().products
    assert product.improvements[0].offer.reason == "it crashes"


def test_an_offered_letter_that_contains_the_withdrawn_one_is_reported(vendor: Vendor) -> None:
    vendor.release({"engine": {**FIXED, "a": "a"}}, X)
    vendor.release({"engine": {**FIXED, "b": "b"}}, Y)
    publisher = vendor.publisher
    (offer,) = publisher.withdraw(vendor.product, "26.3.1 (a)", reason="it crashes")
    assert [each.label for each in publisher.containing(vendor.product, offer)] == ["26.3.1 (b)"]
    with pytest.raises(UnknownImprovementError, match=r"no published improvement 26.3.1 \(c\)"):
        vendor.withdraw("c")


def test_only_the_named_drafts_are_published(vendor: Vendor) -> None:
    publisher = vendor.publisher
    vendor.improve({"engine": {**FIXED, "a": "a"}}, X)
    vendor.improve({"engine": {**FIXED, "b": "b"}}, Y)
    with pytest.raises(UnknownImprovementError, match=r"no draft 26.3.1 \(c\). Its drafts: 26"):
        publisher.publish(vendor.product, labels=["26.3.1 (b)", "26.3.1(c)"])
    (published,) = publisher.publish(vendor.product, labels=["26.3.1(b)"])
    assert published.letter == "b"
    with pytest.raises(LetterTakenError, match=r"no device would take 26.3.1 \(a\)"):
        publisher.publish(vendor.product)


def test_two_changes_of_one_catalog_at_once_are_both_made(vendor: Vendor) -> None:
    vendor.release({"engine": {**FIXED, "a": "a"}}, X)
    vendor.release({"engine": {**FIXED, "b": "b"}}, Y)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(vendor.withdraw, ("a", "b")))
    (product,) = vendor.publisher.show().products
    assert [each.offer.state for each in product.improvements] == ["withdrawn", "withdrawn"]


def test_of_two_publications_at_once_one_says_that_nothing_is_left(vendor: Vendor) -> None:
    vendor.improve({"engine": FIXED}, X)

    def publish(_: int) -> str:
        try:
            return ", ".join(each.label for each in vendor.publish())
        except UnknownImprovementError as error:
            return error.message

    with ThreadPoolExecutor(2) as pool:
        output = sorted(pool.map(publish, range(2)))
    assert output == ["26.3.1 (a)", "acme-kiosk has no draft to publish"]
