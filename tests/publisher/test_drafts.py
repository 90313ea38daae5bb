"""Drafts are replaced whole or not at all, and taken away whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.model.improvement import Improvement
from repoint.publisher.errors import LetterTakenError, UnknownImprovementError
from repoint.publisher.improve import improve, patches, placement
from repoint.publisher.improve.request import ImprovementRequest
from tests.cli.command import everything
from tests.world import FIXED, NAME, Files, Vendor, advisory

WRONG, RIGHT = "CVE-2026-1000", "CVE-2026-1001"


@pytest.fixture
def drafted(vendor: Vendor) -> Vendor:
    """A vendor with an unpublished (b), whose advisory has a typing error, after (a)."""
    vendor.release({"engine": {**FIXED, "a": "a"}}, "CVE-2020-1000")
    vendor.improve({"engine": FIXED}, WRONG)
    return vendor


def replaced(vendor: Vendor, files: Files = FIXED) -> Improvement:
    request = ImprovementRequest(
        vendor.product, NAME, {"engine": vendor.source(files)}, advisory(RIGHT), replace=True
    )
    return vendor.publisher.improve(request).draft.improvement


def drafts(vendor: Vendor) -> list[Improvement]:
    return [draft.improvement for draft in vendor.publisher.drafts(vendor.product)]


def content(vendor: Vendor) -> dict[str, str]:
    return everything(vendor.repository.path / "drafts", ".patches")


def test_a_draft_is_built_anew_in_its_place(
    drafted: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = drafts(drafted)
    monkeypatch.setattr(patches, "write_patch", None)  # the tree is the same, and so is its patch
    made = replaced(drafted)
    assert drafts(drafted) == [made]
    assert (made.letter, made.cves()) == ("b", ("CVE-2020-1000", RIGHT))
    assert made.components == before.components
    assert [draft.folder.name for draft in drafted.publisher.drafts(drafted.product)] == ["b"]
    assert [path for path in content(drafted) if "/.new-" in path] == []
    drafted.publish()


def test_without_a_draft_the_next_letter_is_built(vendor: Vendor) -> None:
    assert replaced(vendor).letter == "a"
    vendor.publish()
    assert replaced(vendor, {**FIXED, "b": "b"}).letter == "b"


def fail(*_: object, **__: object) -> None:
    raise OSError(28, os.strerror(28))


@pytest.mark.parametrize(
    ("module", "name"), [(improve, "make_patch"), (improve, "write_new"), (placement, "exchange")]
)
def test_a_failure_leaves_the_draft_as_it_was(
    drafted: Vendor, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    before = content(drafted)
    with monkeypatch.context() as broken:
        broken.setattr(module, name, fail)
        with pytest.raises(OSError, match="No space"):
            replaced(drafted, {**FIXED, "new": "x"})
    assert content(drafted) == before


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda vendor: vendor.publish(), LetterTakenError),
        (
            lambda vendor: vendor.publisher.discard(vendor.publisher.drafts(vendor.product)[0]),
            UnknownImprovementError,
        ),
    ],
    ids=["published", "removed"],
)
def test_a_draft_that_is_gone_meanwhile_is_not_replaced(
    drafted: Vendor,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[Vendor], object],
    error: type[Exception],
) -> None:
    former = placement.publication_lock

    def meanwhile(path: Path) -> object:
        monkeypatch.setattr(placement, "publication_lock", former)
        # The lock of the baseline keeps others away; a publication does not take it.
        monkeypatch.setattr(placement, "drafting", lambda *_: former(path.with_name("other")))
        act(drafted)
        return former(path)

    monkeypatch.setattr(placement, "publication_lock", meanwhile)
    with pytest.raises(error):
        replaced(drafted)
    assert drafts(drafted) == []


def test_a_discarded_draft_leaves_its_letter_free(drafted: Vendor) -> None:
    (draft,) = drafted.publisher.drafts(drafted.product)
    drafted.publisher.discard(draft)
    assert drafts(drafted) == []
    with pytest.raises(UnknownImprovementError, match=r"The draft 26.3.1 \(b\) for .* is gone"):
        drafted.publisher.discard(draft)
    assert drafted.improve({"engine": FIXED}, RIGHT).draft.improvement.letter == "b"
    (draft,) = drafted.publisher.drafts(drafted.product)
    drafted.publish()
    with pytest.raises(LetterTakenError, match=r"is published for .* Withdraw it"):
        drafted.publisher.discard(draft)
