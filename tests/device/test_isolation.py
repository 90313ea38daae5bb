"""A product that is damaged is reported, and never stops what is done for the others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.agent.update_run import Agent, UpdateRun
from repoint.device.device import Device
from repoint.device.errors import StoreDamagedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.trees.gc import collect_garbage
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.model.errors import RepointError
from tests.cli.command import repoint
from tests.places import Place
from tests.world import OLD, PLATFORM, Vendor, write_tree

SOUND, DAMAGED = "sound", "acme-kiosk"


@pytest.fixture
def two(place: Place, vendor: Vendor) -> Place:
    """A device with two products, for each of which an improvement is staged."""
    place.enroll()
    vendor.release()
    vendor.product = SOUND
    vendor.baseline({"motor": OLD})
    graft = write_tree(place.folder / "app/motor", OLD)
    place.device.enroll(
        SOUND, place.server.url, vendor.root, {"motor": GraftRequest(graft)},
        BaselineFilter(platform=PLATFORM),
    )  # fmt: skip
    vendor.release({"motor": {**OLD, "main.py": "VERSION = 'new'\n"}})
    for product in (DAMAGED, SOUND):
        place.device.check(product)
        place.device.install(product, user_initiated=True)
    return place


def folder(name: str) -> Callable[[Path], None]:
    return lambda product: shutil.rmtree(product / name)


def replaced(name: str, content: bytes | None = None) -> Callable[[Path], None]:
    """Replace a file by other content, or by a folder."""

    def damage(product: Path) -> None:
        path = product / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)

    return damage


DAMAGES = {
    "enrolment lost": lambda product: (product / "enrolment.json").unlink(),
    "enrolment empty": replaced("enrolment.json", b""),
    "enrolment no JSON": replaced("enrolment.json", b"\xff\x00"),
    "enrolment too deep": replaced("enrolment.json", b'{"grafts":' + b"[" * 200_000),
    "enrolment of another form": replaced("enrolment.json", b'{"format":1,"grafts":7}'),
    "enrolment of an unknown strategy": lambda product: (product / "enrolment.json").write_bytes(
        (product / "enrolment.json").read_bytes().replace(b'"tree"', b'"tee"')
        if b'"tree"' in (product / "enrolment.json").read_bytes()
        else (product / "enrolment.json").read_bytes().replace(
            b'"component":', b'"strategy":"tee","component":'
        )
    ),
    "enrolment a folder": replaced("enrolment.json"),
    "active a file": replaced("active", b"x"),
    "active to nowhere": lambda product: (
        (product / "active").unlink(),
        (product / "active").symlink_to("generations/0-0-a"),
    ),
    "staged a folder": replaced("staged"),
    "generations lost": folder("generations"),
    "generations a file": replaced("generations", b""),
    "baseline record lost": lambda product: next(
        product.glob("generations/*-baseline/baseline.json")
    ).unlink(),
    "improvement record cut off": lambda product: next(
        product.glob("generations/*-a/improvement.json")
    ).write_bytes(b"{"),
    "marks of another form": lambda product: (
        (product / "marks").mkdir(),
        (product / "marks/26.3.1-25D2128-a.json").write_bytes(b"[]"),
    ),
    "trial of another form": replaced("trial.json", b"[]"),
}  # fmt: skip


def staged_tree(state: ProductState) -> set[str]:
    staged = state.links.staged()
    assert staged is not None
    return set(state.generations.seals(staged).values())


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_product_does_not_stop_the_other(
    two: Place, damage: Callable[[Path], None]
) -> None:
    sound, damaged = two.device.store.product(SOUND), two.device.store.product(DAMAGED)
    graft = two.folder / "app/motor/main.py"
    damage(damaged.path)

    assert two.device.status(SOUND).staged == "26.3.1 (a)"
    two.device.check(SOUND)
    launch = two.device.launch(["/bin/cat", str(graft)], {})
    assert "/trees/" in launch.arguments[1]
    for descriptor in launch.held:
        os.close(descriptor)
    merged = dict(two.device.boot.merge())
    assert merged[SOUND] is None
    assert two.device.status(SOUND).in_force == "26.3.1 (a)"
    assert graft.read_text() == "VERSION = 'new'\n"
    two.device.boot.unmerge()
    two.device.recover()
    runs = {run.product: run for run in agent(two.device).run()}
    assert not runs[SOUND].errors
    two.device.remove(SOUND, why="")
    collect_garbage(two.device.store, set)
    assert [g.letter for g in sound.generations.all()] == [""]
    assert (two.folder / "app/motor/main.py").read_text() == OLD["main.py"]


def agent(device: Device) -> Agent:
    import random
    import time

    return Agent(device, time.time, random.Random(1))


SERIOUS = [name for name in DAMAGES if name.startswith("enrolment") or name == "active a file"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SERIOUS)
def test_a_damaged_product_is_reported_and_the_exit_status_is_1(two: Place, name: str) -> None:
    DAMAGES[name](two.device.store.product(DAMAGED).path)
    assert not isinstance(two.device.recover()[DAMAGED], AssertionError)
    runs: dict[str, UpdateRun] = {run.product: run for run in agent(two.device).run()}
    assert runs[DAMAGED].failed
    assert isinstance(dict(two.device.boot.merge())[DAMAGED], RepointError)
    with pytest.raises(StoreDamagedError):
        two.device.check(DAMAGED)


def test_a_tree_that_a_damaged_product_may_run_from_is_kept(two: Place) -> None:
    damaged = two.device.store.product(DAMAGED)
    trees = staged_tree(damaged)
    (damaged.path / "enrolment.json").write_bytes(b"{")
    two.device.remove(SOUND, why="")
    assert all(two.device.store.tree(seal).is_dir() for seal in trees)
    assert two.graft.joinpath("main.py").read_text() == OLD["main.py"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [("agent", "run-once"), ("agent", "activate"), ("system", "merge"), ("system", "unmerge"),
     ("motd",)],
)  # fmt: skip
def test_commands_for_all_products_serve_the_others_and_fail(
    two: Place, command: tuple[str, ...]
) -> None:
    (two.device.store.product(DAMAGED).path / "enrolment.json").write_bytes(b"{")
    answer = repoint(*command, "--store", two.folder / "store")
    assert answer.status == 1, answer
    assert "Traceback" not in answer.err
    assert f"{DAMAGED}: " in answer.err
    if command[-1] in ("merge", "activate"):
        assert (two.folder / "app/motor/main.py").read_text() == "VERSION = 'new'\n"
