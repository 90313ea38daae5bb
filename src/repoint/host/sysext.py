"""What systemd has merged over /usr and /opt, and what Repoint offers it to merge.

An extension of ours stands only in /run/extensions, where nothing outlasts a boot. So no layer is
ever merged that was not held against its base since the machine was started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from repoint.fs.durable import make_folder, write_durably
from repoint.host.errors import CannotMergeError
from repoint.model.system import HIERARCHIES

_OFFERED = Path("/run/extensions")
_MACHINE = Path("/proc/1/ns/mnt")
"""The mounts that all programs see: those of the first process."""
_MERGE = ("overlay", "sysext")
"""Type and source of the mounts that systemd-sysext makes."""
_SECONDS = 60.0


def merged() -> dict[str, tuple[str, ...]]:
    """The hierarchies that something is merged over, and the names of the extensions, lowest first.

    The merged view says so itself: systemd puts a list into it.
    """
    found = {}
    for hierarchy in HIERARCHIES:
        if _is_merged(hierarchy):
            text = Path(hierarchy, ".systemd-sysext/extensions").read_text()
            found[hierarchy] = tuple(text.split())
    return found


def device_below(path: str) -> str:
    """The device that a path is on below what is merged, as memory maps have it: ``fd:01``."""
    found, length = "", -1
    for place, device, kind in _mounts():
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and kind != _MERGE and len(place) >= length:
            found, length = device, len(place)
    major, _, minor = found.partition(":")
    return f"{int(major):02x}:{int(minor):02x}" if minor else ""


def offered(name: str) -> Path | None:
    """What is offered to systemd under that name, if anything is: a folder, or an image's file."""
    place, image = _OFFERED / name, _OFFERED / f"{name}.raw"
    if image.is_symlink():
        return image.readlink()
    return place if os.path.ismount(place) else None


def is_offered(name: str, extension: Path) -> bool:
    """Whether just this folder, or this file of an image, is offered under the name."""
    place = offered(name)
    try:
        return place is not None and os.path.samestat(place.stat(), extension.stat())
    except OSError:
        return False


def offer_image(name: str, image: Path, tree: Path, root_hash: str) -> None:
    """Offer an image, in the place of what has the name now, and merge it.

    The root hash is written here, from what is signed: systemd reads it from beside the name that
    it finds the image by. The image's name comes last, so that none is ever offered without.

    Raises:
        CannotMergeError: The system cannot do that.
        OSError: It cannot be written.
    """
    _require_machines_mounts()
    _take_away(name)
    make_folder(_OFFERED)
    write_durably(_OFFERED / f"{name}.roothash", f"{root_hash}\n".encode())
    (_OFFERED / f"{name}.verity").symlink_to(tree)
    (_OFFERED / f"{name}.raw").symlink_to(image)
    refresh()


def offer(name: str, extension: Path) -> None:
    """Offer a folder, in the place of what has the name now, and merge it.

    Raises:
        CannotMergeError: The system cannot do that.
    """
    _require_machines_mounts()
    _take_away(name)
    make_folder(_OFFERED)
    place = _OFFERED / name
    place.mkdir(exist_ok=True)
    # A link to a folder is not followed by all versions of systemd; a second name for it is none.
    _run("mount", "--bind", str(extension), str(place))
    _run("mount", "-o", "remount,bind,ro", str(place))
    refresh()


def withdraw(name: str) -> None:
    """Let nothing be merged under a name. That nothing is, is no error.

    Raises:
        CannotMergeError: The system cannot undo it.
    """
    had = offered(name) is not None
    if not had and not any(name in names for names in merged().values()):
        return
    _require_machines_mounts()
    _take_away(name)
    refresh()
    if any(name in names for names in merged().values()):
        raise CannotMergeError(
            f"The system extension {name} is still merged", hint="Restart the machine"
        )


def refresh() -> None:
    """Let systemd merge what is offered now.

    Its exit status says little: it is 0 also where nothing came of it. Who calls this looks at
    what is merged afterwards.

    Raises:
        CannotMergeError: There is no systemd-sysext.
    """
    _run("systemd-sysext", "refresh")


def _take_away(name: str) -> None:
    for ending in (".raw", ".verity", ".roothash"):
        (_OFFERED / f"{name}{ending}").unlink(missing_ok=True)
    place = _OFFERED / name
    while os.path.ismount(place):
        _run("umount", "--lazy", str(place))
    if place.is_dir():
        place.rmdir()


def _require_machines_mounts() -> None:
    """Refuse where what we mount is seen by nobody else, and would yet look right to us."""
    try:
        same = os.readlink("/proc/thread-self/ns/mnt") == os.readlink(_MACHINE)
    except PermissionError:
        same = True  # not root; the mount itself is refused then, and says why
    if not same:
        raise CannotMergeError(
            "This process has mounts of its own, so that no other program would see the layer",
            hint="Run it outside of containers, and in a service without ProtectSystem=, "
            "PrivateTmp= and the like",
        )


def _is_merged(hierarchy: str) -> bool:
    return any(place == hierarchy and kind == _MERGE for place, _, kind in _mounts())


def _mounts() -> Iterator[tuple[str, str, tuple[str, str]]]:
    """Place, device, and type with source of each mount: proc_pid_mountinfo(5)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, tail = line.partition(" - ")
        kind, source, *_ = tail.split(" ")
        _, _, device, _, place, *_ = fields.split(" ")
        yield place, device, (kind, source)


def _run(*command: str) -> None:
    if shutil.which(command[0]) is None:
        raise CannotMergeError(
            f"There is no {command[0]} on this system",
            hint="Components below /usr need systemd 250 or newer; nothing was changed",
        )
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CannotMergeError(
            f"`{' '.join(command)}` did not end within {_SECONDS:.0f} seconds",
            hint="Restart the machine; it comes up with its base",
        ) from None
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise CannotMergeError(
            f"`{' '.join(command)}` failed: {said}",
            hint="Run it as root, outside of containers and of services with a root of their own",
        )
