"""The disk space of an installation: the plan and the installation ask for the same, and enough."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from repoint.agent.agent_state import AgentState
from repoint.agent.overview.overview import Observation, read_overview
from repoint.device.errors import StoreWriteError
from repoint.device.update.space import RESERVE, space_needed
from repoint.image.verity import HashTree
from repoint.model.improvement import Improvement
from repoint.model.system import Extension
from tests.places import Place
from tests.world import FIXED, OLD, Vendor, advisory, big

BIG_FIX = {**FIXED, "lib/plugin.so": big(7, 30_000)}


def release_with_another_mode(vendor: Vendor) -> Improvement:
    """A fix that also makes an unchanged file executable: it is copied, but not in the patch."""
    source = vendor.source(BIG_FIX)
    (source / "lib/helper.so").chmod(0o755)
    vendor.improve_from({"engine": source}, advisory())
    return vendor.publish()[-1]


def bytes_in(folder: Path) -> int:
    """Bytes of all files, each inode once."""
    sizes = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        sizes[status.st_ino] = status.st_size if path.is_file() else 0
    return sum(sizes.values())


@pytest.mark.one_quick
@pytest.mark.parametrize("missing", [0, 1])
def test_the_plan_and_the_installation_agree_about_the_space(
    place: Place, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    place.enroll()
    needed = space_needed(release_with_another_mode(vendor))
    place.device.check(None)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=needed - missing))
    attended = Observation(agent_state=AgentState(last_run=int(time.time())))
    step = read_overview(place.device, None, attended).plan.install
    assert step is not None
    assert (step.reason == "space") is bool(missing)
    if missing:
        with pytest.raises(StoreWriteError, match="The disk is full"):
            place.device.install(None, user_initiated=False)
        assert place.device.status(None).staged == ""
    else:
        place.device.install(None, user_initiated=False)
        assert place.device.status(None).staged == "26.3.1 (a)"


def test_an_installation_never_writes_more_than_it_asks_for(place: Place, vendor: Vendor) -> None:
    place.enroll()
    improvement = release_with_another_mode(vendor)
    place.device.check(None)
    store = place.folder / "store"
    before = bytes_in(store)
    most = 0

    def look(step: str, done: int, total: int) -> None:
        nonlocal most
        most = max(most, bytes_in(store) - before)

    place.device.install(None, user_initiated=True, progress=look)
    changed = len(BIG_FIX["lib/engine.so"]) + len(BIG_FIX["lib/plugin.so"])
    assert most > changed + improvement.download_size  # it is close to what is asked for
    assert most <= space_needed(improvement) - RESERVE + 1_000  # and the records are small
    assert len(OLD["lib/helper.so"]) < improvement.disk_size - changed  # it may be copied


@pytest.mark.parametrize("blocks", [1, 2, 128, 129, 128 * 128 + 1])
def test_the_image_of_a_layer_and_its_hash_tree_are_part_of_it(blocks: int) -> None:
    tree = HashTree()
    for _ in range(blocks):
        tree.update(bytes(4096))
    extension = Extension(tree.root_hash, blocks * 4096, 100)
    assert extension.disk_size == blocks * 4096 + len(tree.file(bytes(16)))
