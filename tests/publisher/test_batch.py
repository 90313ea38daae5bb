"""Improvements for many baselines in one run: the same as one at a time, and taken up again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repoint.model.advisory import Advisory, Fix
from repoint.model.baseline import BaselineName
from repoint.publisher.catalog.claims import Corrections
from repoint.publisher.errors import LostFixesError
from repoint.publisher.improve import patches
from repoint.publisher.improve.batch import Outcome, Run, build_all, plan_all
from repoint.publisher.improve.request import ImprovementRequest
from tests.cli.command import everything
from tests.world import FIXED, OLD, PLATFORM, Files, Vendor, advisory, big

ARM = "linux-aarch64"
NAMES = [
    BaselineName(platform, version, build)
    for version, build in (("26.3.1", "25D2128"), ("26.4.0", "25E246"))
    for platform in (PLATFORM, ARM)
]
WHEN = 1_700_000_500


@pytest.fixture(scope="module")
def first_of_four(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    """The vendor that every test gets a copy of: signatures take time."""
    made = Vendor(tmp_path_factory.mktemp("four") / "vendor")
    for number, name in enumerate(NAMES):
        made.baseline({"engine": own(OLD, number // 2)}, name=name)
    return made


@pytest.fixture
def vendor(first_of_four: Vendor, tmp_path: Path) -> Vendor:
    return first_of_four.copied(tmp_path / "vendor")


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def own(files: Files, number: int) -> Files:
    """The files of one version; its platforms have the same ones."""
    return {**files, "lib/own.so": big(10 + number, 5_000)}


def requests(vendor: Vendor, narrow: bool = True) -> list[ImprovementRequest]:
    return [
        ImprovementRequest(
            vendor.product, name, {"engine": vendor.source(own(FIXED, number // 2))}, advisory(),
            narrow=narrow,
        )
        for number, name in enumerate(NAMES)
    ]  # fmt: skip


def run(executor: Executor) -> Run:
    return Run(executor, workers=1)


class InterruptedExecutor(ThreadPoolExecutor):
    """Ctrl-C arrives when the second request is due, and the first one is done or under way."""

    def __init__(self, *, wait_for_the_first: bool) -> None:
        super().__init__(1)
        self._wait = wait_for_the_first
        self._first: Future[Any] | None = None

    def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        if self._first is not None:
            if self._wait:
                self._first.result()
            raise KeyboardInterrupt
        self._first = super().submit(work, *args, **more)
        return self._first


def states(outcomes: list[Outcome]) -> list[str | None]:
    return [outcome.state for outcome in outcomes]


def drafts(vendor: Vendor) -> dict[str, str]:
    return everything(vendor.repository.path / "drafts")


def encoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The patches that are made from now on, and not taken from somewhere."""
    made: list[Path] = []
    former = patches.write_patch

    def counted(out: Path, *arguments: object, **more: object) -> object:
        made.append(out)
        return former(out, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(patches, "write_patch", counted)
    return made


def test_the_bytes_are_the_same_as_one_at_a_time(vendor: Vendor, executor: Executor) -> None:
    batch = requests(vendor)
    with ThreadPoolExecutor(1) as alone:
        build_all(vendor.repository, batch, run(alone), created=WHEN)
    before = drafts(vendor)
    assert len([path for path in before if path.endswith(".patch")]) == len(NAMES)
    for path in (vendor.repository.path / "drafts").glob("*/*/*/*/a"):
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    build_all(vendor.repository, batch, run(executor), created=WHEN)
    assert drafts(vendor) == before


@pytest.mark.slow
def test_outcomes_come_in_the_order_of_the_requests(vendor: Vendor, executor: Executor) -> None:
    outcomes = build_all(vendor.repository, requests(vendor), run(executor), created=WHEN)
    assert [outcome.request.baseline for outcome in outcomes] == NAMES
    assert [outcome.label for outcome in outcomes] == ["26.3.1 (a)"] * 2 + ["26.4.0 (a)"] * 2


@pytest.mark.slow
def test_a_patch_between_the_same_files_is_made_once(
    vendor: Vendor, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = encoded(monkeypatch)
    build_all(vendor.repository, requests(vendor), run(executor), created=WHEN)
    # `lib/own.so` does not change, so all four baselines need the same patch.
    assert len(made) == 1


def test_a_second_run_takes_the_drafts_of_the_first(
    vendor: Vendor, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = requests(vendor)
    assert set(states(build_all(vendor.repository, batch[:3], run(executor), created=WHEN))) == {
        "new"
    }
    before = drafts(vendor)
    outcomes = build_all(vendor.repository, batch, run(executor), created=WHEN + 60)
    assert states(outcomes) == ["drafted"] * 3 + ["new"]
    assert outcomes[0].improvement is not None
    assert outcomes[0].improvement.created == WHEN
    after = drafts(vendor)
    assert {path: after[path] for path in before if path.endswith(("patch", "json"))} == {
        path: text for path, text in before.items() if path.endswith(("patch", "json"))
    }


@pytest.mark.slow
def test_what_is_published_is_not_built_again(vendor: Vendor, executor: Executor) -> None:
    batch = requests(vendor)
    build_all(vendor.repository, batch[:2], run(executor), created=WHEN)
    vendor.publish()
    outcomes = build_all(vendor.repository, batch, run(executor), created=WHEN)
    assert states(outcomes) == ["published"] * 2 + ["new"] * 2


@pytest.mark.slow
def test_a_changed_source_or_advisory_gets_the_next_letter(
    vendor: Vendor, executor: Executor
) -> None:
    first, second = requests(vendor)[:2]
    build_all(vendor.repository, [first, second], run(executor), created=WHEN)
    changed = ImprovementRequest(
        vendor.product, NAMES[0], {"engine": vendor.source({**own(FIXED, 0), "new": "x"})},
        advisory(), narrow=True,
    )  # fmt: skip
    with_advisory = ImprovementRequest(
        vendor.product, NAMES[1], second.sources, advisory("CVE-2023-4863", "CVE-2023-5129")
    )
    outcomes = build_all(vendor.repository, [changed, with_advisory], run(executor), created=WHEN)
    assert [(each.state, each.label) for each in outcomes] == [("new", "26.3.1 (b)")] * 2


@pytest.mark.slow
@pytest.mark.parametrize("published", [False, True])
def test_a_letter_with_another_advisory_takes_the_patch_of_the_letter_before(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch, published: bool
) -> None:
    first = vendor.improve({"engine": own(FIXED, 0)}, "CVE-2023-4863").draft
    patch = first.patch("engine").read_bytes()
    if published:
        vendor.publish()
    made = encoded(monkeypatch)
    second = vendor.improve({"engine": own(FIXED, 0)}, "CVE-2023-4863", "CVE-2023-5129")
    assert made == []
    assert second.draft.improvement.letter == "b"
    assert second.draft.patch("engine").read_bytes() == patch
    assert [entry.name for entry in second.entries["engine"]] == [
        "late.py",
        "lib/engine.so",
        "main.py",
    ]


@pytest.mark.slow
def test_a_baseline_that_has_the_fix_is_not_concerned(vendor: Vendor, executor: Executor) -> None:
    fixed = BaselineName(PLATFORM, "26.5.0", "25F1")
    vendor.baseline({"engine": own(FIXED, 0)}, name=fixed)
    one = requests(vendor)[0]
    same = ImprovementRequest(vendor.product, fixed, one.sources, one.advisory, narrow=True)
    outcomes = build_all(vendor.repository, [one, same], run(executor), created=WHEN)
    assert states(outcomes) == ["new", "unconcerned"]
    assert outcomes[1].left_out == ("engine",)


@pytest.mark.slow
def test_an_improvement_that_is_refused_does_not_keep_the_others_from_being_built(
    vendor: Vendor, executor: Executor
) -> None:
    vendor.release({"engine": own(FIXED, 0)}, "CVE-2020-1000")
    vendor.withdraw("a")
    outcomes = build_all(vendor.repository, requests(vendor), run(executor), created=WHEN)
    assert isinstance(outcomes[0].error, LostFixesError)
    assert states(outcomes) == [None, "new", "new", "new"]


def withdrawn_on_one(vendor: Vendor) -> None:
    """Two baselines get (a) and (b), of which one loses (b), with a CVE id and a fix without one."""
    for name in NAMES[:2]:
        vendor.improve({"engine": {**own(FIXED, 0), "a": "a"}}, "CVE-2020-1000", name=name)
        fixes = (*advisory("CVE-2020-2000").fixes, Fix((), "engine", "a leak", "was closed"))
        texts = Advisory("(b)", fixes)
        vendor.improve({"engine": {**own(FIXED, 0), "b": "b"}}, texts=texts, name=name)
    vendor.publish()
    vendor.publisher.withdraw(vendor.product, "26.3.1 (b)", reason="it crashes", platform=PLATFORM)


def test_a_fix_is_dropped_only_where_it_would_be_lost(vendor: Vendor, executor: Executor) -> None:
    withdrawn_on_one(vendor)
    first, second = requests(vendor)[:2]
    error = plan_all(vendor.repository, [first, second], run(executor))[0].error
    assert isinstance(error, LostFixesError)
    lost = ("CVE-2020-2000", "b:2")
    options = "--drop-fix CVE-2020-2000 --drop-fix b:2"
    assert f"say so with --version 26.3.1 --platform {PLATFORM} {options}" in str(error)
    batch = [replace(each, corrections=Corrections(lost)) for each in (first, second)]
    planned = plan_all(vendor.repository, batch, run(executor))
    assert [(each.dropped, each.request.kept) for each in planned] == [(lost, ()), ((), lost)]
    one, other = build_all(vendor.repository, batch, run(executor), created=WHEN)
    assert one.improvement is not None
    assert other.improvement is not None
    assert one.improvement.dropped == lost
    assert other.improvement.dropped == ()
    assert "CVE-2020-2000" in other.improvement.cves()
    again = build_all(vendor.repository, batch, run(executor), created=WHEN)
    assert states(again) == ["drafted", "drafted"]


def test_what_no_baseline_would_lose_is_not_dropped(vendor: Vendor, executor: Executor) -> None:
    vendor.release({"engine": {**own(FIXED, 0), "a": "a"}}, "CVE-2020-1000")
    dropped = Corrections(("CVE-2020-1000",))
    batch = [replace(each, corrections=dropped) for each in requests(vendor)[:2]]
    one, other = plan_all(vendor.repository, batch, run(executor))
    assert "CVE-2020-1000 would not be lost" in str(one.error)
    assert "No earlier letter of this baseline fixes" in str(other.error)
    taken_back = Corrections(retracted=("CVE-2020-1000",))
    batch = [replace(each, corrections=taken_back) for each in batch]
    one, other = plan_all(vendor.repository, batch, run(executor))
    assert (one.dropped, other.dropped) == (("CVE-2020-1000",), ())


def test_a_letter_with_the_content_of_a_withdrawn_one_says_so(
    vendor: Vendor, executor: Executor
) -> None:
    withdrawn_on_one(vendor)
    request = ImprovementRequest(
        vendor.product, NAMES[0], {"engine": vendor.source({**own(FIXED, 0), "b": "b"})},
        Advisory("(c)", advisory("CVE-2020-2000").fixes), corrections=Corrections(("b:2",)),
    )  # fmt: skip
    (outcome,) = build_all(vendor.repository, [request], run(executor), created=WHEN)
    told = "26.3.1 (b), which was withdrawn: it crashes"
    assert outcome.withdrawn == (told,)
    assert outcome.improvement is not None
    assert vendor.publisher.withdrawn_like(outcome.improvement) == [told]


@pytest.mark.slow
def test_a_plan_says_what_would_be_built_and_leaves_nothing(
    vendor: Vendor, executor: Executor
) -> None:
    build_all(vendor.repository, requests(vendor)[:1], run(executor), created=WHEN)
    before = everything(vendor.folder, ".25D2128.lock", ".25E246.lock", "sources")
    outcomes = plan_all(vendor.repository, requests(vendor), run(executor))
    assert states(outcomes) == ["drafted", "new", "new", "new"]
    assert all(outcome.layers for outcome in outcomes)
    assert everything(vendor.folder, ".25D2128.lock", ".25E246.lock", "sources") == before


@pytest.mark.slow
def test_finished_patches_of_an_interrupted_run_are_taken(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        InterruptedExecutor(wait_for_the_first=True) as interrupted,
    ):
        build_all(vendor.repository, requests(vendor), run(interrupted), created=WHEN)
    assert kept(vendor)
    assert vendor.publisher.drafts(vendor.product) != []
    made = encoded(monkeypatch)
    with ThreadPoolExecutor(1) as alone:
        build_all(vendor.repository, requests(vendor), run(alone), created=WHEN)
    assert made == []
    assert kept(vendor) == []


@pytest.mark.slow
def test_a_damaged_kept_patch_is_made_anew(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        InterruptedExecutor(wait_for_the_first=True) as interrupted,
    ):
        build_all(vendor.repository, requests(vendor), run(interrupted), created=WHEN)
    patch = kept(vendor)[0]
    content = bytearray(patch.read_bytes())
    content[-1] ^= 1
    patch.unlink()
    patch.write_bytes(content)
    made = encoded(monkeypatch)
    with ThreadPoolExecutor(1) as alone:
        outcomes = build_all(vendor.repository, requests(vendor), run(alone), created=WHEN)
    assert len(made) == 1
    assert not any(outcome.error for outcome in outcomes)


@pytest.mark.slow
def test_an_interruption_ends_what_is_being_encoded(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(
        out: Path, inputs: object, *, progress: Callable[[int, int], None], workers: int
    ) -> object:
        while True:
            progress(0, 1)
            time.sleep(0.01)

    monkeypatch.setattr(patches, "write_patch", endless)
    with (
        pytest.raises(KeyboardInterrupt),
        InterruptedExecutor(wait_for_the_first=False) as interrupted,
    ):
        build_all(vendor.repository, requests(vendor), run(interrupted), created=WHEN)
    assert not (vendor.repository.path / "drafts").exists()


def kept(vendor: Vendor) -> list[Path]:
    return list((vendor.repository.path / "drafts" / vendor.product).glob(".patches/*"))
