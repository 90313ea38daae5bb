"""The one mistake that makes overlays dangerous: a layer over a base that has moved on.

The tests move the base on in each way that a distribution may, and show that each rule that keeps a
layer from shadowing it (see `repoint.device.strategy.sysext`) suffices alone.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from repoint.device.errors import NotApplicableError, SupersededError
from repoint.host.base_system import BaseContents, BaseSystem, read_release
from repoint.host.errors import CannotMergeError
from repoint.host.systemd.sysext import SystemExtensions
from repoint.model.baseline import BaselineName
from repoint.model.errors import RepointError
from tests.sysext.conftest import APP, NEW, OLD, System, put, run
from tests.world import Files, big

NEWER: Files = {f"{APP}/lib/libcodec.so": b"newer" + big(9)}
NEWER_BASE: Files = {**OLD, **NEWER}
SECURITY_FIX = f"{APP}/lib/libcodec.so"


def below(work: Callable[[], None]) -> None:
    """Change the base while something is merged over it, as an image-based update can."""
    pid = os.fork()
    if pid == 0:
        try:
            run("unshare", "--mount", "true")
            import ctypes

            libc = ctypes.CDLL(None, use_errno=True)
            libc.unshare(0x00020000)
            libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None)
            for hierarchy in SystemExtensions().merged():
                libc.umount2(hierarchy.encode(), 2)
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.fixture
def improved(system: System) -> System:
    system.enroll()
    system.update()
    assert system.shows(NEW)
    return system


@pytest.mark.slow
def test_a_base_that_is_updated_while_the_machine_is_off_is_never_shadowed(
    improved: System,
) -> None:
    improved.reboot()
    put(NEWER)
    run("systemd-sysext", "refresh")  # systemd at its start, before Repoint's
    assert improved.shows(NEWER_BASE)
    with pytest.raises(RepointError, match="1 path differs"):
        improved.device.check(None)
    run("systemd-sysext", "refresh")
    assert improved.shows(NEWER_BASE)
    status = improved.device.status(None)
    assert status.in_force == "26.3.1"
    assert not status.protected
    output = [(e.event, e.why) for e in improved.device.history(None)]
    assert ("superseded", f"base: /{SECURITY_FIX} content") in output


@pytest.mark.slow
def test_the_next_start_notices_an_update_below_a_merged_layer(
    improved: System,
) -> None:
    below(lambda: put(NEWER))
    assert improved.shows(NEW), "until Repoint has looked"
    with pytest.raises(RepointError, match="1 path differs"):
        improved.device.check(None)
    assert improved.shows(NEWER_BASE)
    assert SystemExtensions().merged() == {}


@pytest.mark.slow
def test_the_merged_view_is_read_only(improved: System) -> None:
    with pytest.raises(OSError, match="Read-only file system"):
        put(NEWER)


@pytest.mark.slow
def test_a_base_that_is_updated_before_the_restart_is_never_shadowed(system: System) -> None:
    system.enroll()
    system.device.check(None)
    system.device.install(None, user_initiated=True)
    put(NEWER)
    with pytest.raises(SupersededError, match="has been updated"):
        system.device.restart(None)
    assert system.shows(NEWER_BASE)
    status = system.device.status(None)
    assert (status.in_force, status.staged) == ("26.3.1", "")
    assert SystemExtensions().merged() == {}


@pytest.mark.one_quick
@pytest.mark.parametrize("name", ["lib/libplugin.so", "share/table"])
def test_any_file_of_the_baseline_counts_even_if_the_layer_does_not_change_it(
    improved: System, name: str
) -> None:
    path = f"{APP}/{name}"
    improved.reboot()
    put({path: "newer"})
    with pytest.raises(RepointError, match="1 path differs"):
        improved.device.check(None)
    assert improved.shows({**OLD, path: "newer"})


@pytest.mark.slow
def test_a_file_that_the_distribution_removed_counts(improved: System) -> None:
    improved.reboot()
    Path("/", SECURITY_FIX).unlink()
    with pytest.raises(RepointError, match="1 path differs"):
        improved.device.check(None)
    assert not os.path.lexists(f"/{SECURITY_FIX}")


def test_another_version_of_the_system_is_never_shadowed_by_repoint(
    improved: System, release: Callable[[str], None]
) -> None:
    improved.reboot()
    release("13")
    improved.device.check(None)
    assert improved.shows(OLD)
    assert SystemExtensions().merged() == {}
    output = [e.why for e in improved.device.history(None) if e.event == "superseded"]
    assert output == ["base: the system is debian 13, not debian 12"]


@pytest.mark.slow
def test_another_version_of_the_system_is_never_shadowed_by_systemd(
    improved: System, release: Callable[[str], None]
) -> None:
    """Even if the extension is still offered and Repoint is gone."""
    release("13")
    run("systemd-sysext", "refresh")
    assert SystemExtensions().merged() == {}
    assert improved.shows(OLD)


@pytest.mark.one_quick
@pytest.mark.parametrize(
    "path", ["usr/lib/os-release", "usr/lib/extension-release.d/extension-release.repoint-acme-kiosk"]
)  # fmt: skip
def test_no_layer_may_change_the_files_that_identify_the_system(system: System, path: str) -> None:
    system.enroll()
    system.vendor.release({"codec": {**NEW, path: "ID=_any\n"}})
    system.device.check(None)
    system.server.requests.clear()
    with pytest.raises(NotApplicableError, match="identifies the system"):
        system.device.install(None, user_initiated=True)
    assert not [r for r in system.server.requests if r.path.endswith(".patch")]


@pytest.mark.one_quick
@pytest.mark.parametrize("path", ["etc/cron.d/evil", "var/evil", "evil", "boot/evil"])
def test_no_layer_changes_paths_outside_of_the_hierarchies(system: System, path: str) -> None:
    system.enroll()
    system.vendor.release({"codec": {**NEW, path: "evil"}})
    system.device.check(None)
    with pytest.raises(NotApplicableError, match="neither below /usr nor below /opt"):
        system.device.install(None, user_initiated=True)


def test_no_layer_replaces_a_folder_that_others_use(system: System) -> None:
    system.enroll()
    changed = {name: content for name, content in OLD.items() if "/lib/" not in name}
    system.vendor.release({"codec": {**changed, f"{APP}/lib": "a file\n"}})
    system.device.check(None)
    with pytest.raises(NotApplicableError, match="replaces the folder"):
        system.device.install(None, user_initiated=True)
    assert Path(f"/{APP}/lib/others.so").read_text() == "of others"


@pytest.mark.slow
def test_the_vendors_next_baseline_is_adopted_and_improved(improved: System) -> None:
    name = BaselineName("linux-x86_64", "26.4", "25E1")
    newer_base: Files = {**OLD, **NEWER}
    improved.vendor.baseline({"codec": newer_base}, name=name)
    improved.reboot()
    put(NEWER)
    assert improved.device.check(None).offer is None
    assert improved.device.status(None).in_force == "26.4"
    assert improved.shows(newer_base)
    fixed: Files = {**newer_base, f"{APP}/share/table": "fixed\n"}
    improved.vendor.release({"codec": fixed}, name=name)
    improved.update()
    assert improved.shows(fixed)
    assert improved.device.status(None).in_force == "26.4 (a)"


@pytest.mark.slow
def test_a_base_that_cannot_be_read_is_not_merged_over(improved: System) -> None:
    class Unreadable(BaseSystem):
        def read(self, root: str, paths: tuple[str, ...]) -> BaseContents:
            raise CannotMergeError("it cannot be read", hint="")

    improved.reboot()
    base = Unreadable(improved.host.sysext)
    improved.host = msgspec.structs.replace(improved.host, base=base)
    improved.device.check(None)
    assert improved.shows(OLD)
    assert SystemExtensions().merged() == {}
    assert not improved.device.status(None).protected


def test_a_layer_that_another_extension_covers_is_unmerged(system: System) -> None:
    system.enroll()
    other = Path("/run/extensions/zzz-other")
    (other / APP / "lib").mkdir(parents=True)
    (other / SECURITY_FIX).write_text("of another vendor")
    (other / "usr/lib/extension-release.d").mkdir(parents=True)
    text = "".join(f"{key}={value}\n" for key, value in read_release().items())
    (other / "usr/lib/extension-release.d/extension-release.zzz-other").write_text(text)
    system.device.check(None)
    system.device.install(None, user_initiated=True)
    with pytest.raises(CannotMergeError, match="does not show 26"):
        system.device.restart(None)
    assert system.device.status(None).in_force == "26.3.1"
    assert SystemExtensions().merged()["/opt"] == ("zzz-other",)
    subprocess.run(["systemd-sysext", "unmerge"], check=True, capture_output=True)
