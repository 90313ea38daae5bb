"""What systemd has merged over /usr and /opt, and what Repoint offers it to merge.

Repoint's extensions stand only in /run/extensions, which does not outlast a boot. So no layer is
ever merged that was not compared with its base since the machine started.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from repoint.fs.durable import make_folder, write_durably
from repoint.host.errors import CannotMergeError
from repoint.host.run import run
from repoint.model.system import HIERARCHIES

_SECONDS = 60.0


class Mount(msgspec.Struct, frozen=True):
    """A mount of this process.

    Attributes:
        path: Where it is mounted.
        device: Its device number, ``major:minor``.
        kind: The type of file system.
        source: What is mounted, as the mount's creator named it.
    """

    path: str
    device: str
    kind: str
    source: str

    @property
    def is_merge(self) -> bool:
        """True if systemd-sysext made it."""
        return (self.kind, self.source) == ("overlay", "sysext")


class ImageOffer(msgspec.Struct, frozen=True):
    """An image with its hash tree, and the root hash that a signed document gives for it."""

    image: Path
    hash_tree: Path
    root_hash: str


class SystemExtensions:
    """The system extensions of a machine.

    Args:
        offers: The folder in which systemd finds extensions for this boot.
        machine_mounts: The mount namespace that all programs see: that of the first process.
        proc: The proc file system.
    """

    def __init__(
        self,
        offers: Path = Path("/run/extensions"),
        machine_mounts: Path = Path("/proc/1/ns/mnt"),
        proc: Path = Path("/proc"),
    ) -> None:
        self._offers = offers
        self._machine_mounts = machine_mounts
        self._proc = proc

    def merged(self) -> dict[str, tuple[str, ...]]:
        """Map each hierarchy that is merged to the names of its extensions, lowest first.

        The merged view holds that list itself: systemd puts it there.
        """
        merges = {mount.path for mount in self._mounts() if mount.is_merge}
        return {
            hierarchy: tuple(Path(hierarchy, ".systemd-sysext/extensions").read_text().split())
            for hierarchy in HIERARCHIES
            if hierarchy in merges
        }

    def is_merged(self, name: str) -> bool:
        """Return whether an extension of that name is merged."""
        return any(name in names for names in self.merged().values())

    def device_below(self, path: str) -> str:
        """Return the device of a path below what is merged, as memory maps write it: ``fd:01``."""
        device, length = "", -1
        for mount in self._mounts():
            inside = path == mount.path or path.startswith(mount.path.rstrip("/") + "/")
            if inside and not mount.is_merge and len(mount.path) >= length:
                device, length = mount.device, len(mount.path)
        major, _, minor = device.partition(":")
        return f"{int(major):02x}:{int(minor):02x}" if minor else ""

    def offered(self, name: str) -> Path | None:
        """Return the folder, or the file of the image, that is offered to systemd under a name."""
        folder, image = self._offers / name, self._offers / f"{name}.raw"
        if image.is_symlink():
            return image.readlink()
        return folder if os.path.ismount(folder) else None

    def is_offered(self, name: str, extension: Path) -> bool:
        """Return whether exactly this folder or image is offered under the name."""
        offered = self.offered(name)
        try:
            return offered is not None and os.path.samestat(offered.stat(), extension.stat())
        except OSError:
            return False

    def offer_image(self, name: str, offer: ImageOffer) -> None:
        """Offer an image instead of what has the name now, and merge it.

        The root hash is written here, from the signed document: systemd reads it next to the name
        by which it finds the image. The image's name comes last, so that no image is ever offered
        without its root hash.

        Raises:
            CannotMergeError: The system does not support it.
            OSError: The offer cannot be written.
        """
        self._require_machine_mounts()
        self._remove_offer(name)
        make_folder(self._offers)
        write_durably(self._offers / f"{name}.roothash", f"{offer.root_hash}\n".encode())
        (self._offers / f"{name}.verity").symlink_to(offer.hash_tree)
        (self._offers / f"{name}.raw").symlink_to(offer.image)
        self.refresh()

    def offer_folder(self, name: str, extension: Path) -> None:
        """Offer a folder instead of what has the name now, and merge it.

        Raises:
            CannotMergeError: The system does not support it.
        """
        self._require_machine_mounts()
        self._remove_offer(name)
        make_folder(self._offers)
        folder = self._offers / name
        folder.mkdir(exist_ok=True)
        # Not every version of systemd follows a link to a folder; a bind mount is not a link.
        self._run("mount", "--bind", str(extension), str(folder))
        self._run("mount", "-o", "remount,bind,ro", str(folder))
        self.refresh()

    def withdraw(self, name: str) -> None:
        """Unmerge what has that name. Does nothing if nothing has it.

        Raises:
            CannotMergeError: The system does not unmerge it.
        """
        if self.offered(name) is None and not self.is_merged(name):
            return
        self._require_machine_mounts()
        self._remove_offer(name)
        self.refresh()
        if self.is_merged(name):
            raise CannotMergeError(
                f"The system extension {name} is still merged", hint="Restart the machine"
            )

    def refresh(self) -> None:
        """Make systemd merge what is offered now.

        Its exit status is 0 even if it merged nothing, so callers inspect the merged view
        afterwards.

        Raises:
            CannotMergeError: There is no systemd-sysext, or it fails.
        """
        self._run("systemd-sysext", "refresh")

    def _remove_offer(self, name: str) -> None:
        for ending in (".raw", ".verity", ".roothash"):
            (self._offers / f"{name}{ending}").unlink(missing_ok=True)
        folder = self._offers / name
        while os.path.ismount(folder):
            self._run("umount", "--lazy", str(folder))
        if folder.is_dir():
            folder.rmdir()

    def _require_machine_mounts(self) -> None:
        """Refuse if no other process would see our mounts, although they would look right to us."""
        try:
            own = (self._proc / "thread-self/ns/mnt").readlink()
            same = own == self._machine_mounts.readlink()
        except PermissionError:
            same = True  # Not root: the mount itself fails then, and says why.
        if not same:
            raise CannotMergeError(
                "This process has mounts of its own, so no other program would see the layer",
                hint="Run it outside of containers, and in a service without ProtectSystem=, "
                "PrivateTmp= and the like",
            )

    def _mounts(self) -> Iterator[Mount]:
        """The mounts of this process: proc_pid_mountinfo(5)."""
        for line in (self._proc / "self/mountinfo").read_text().splitlines():
            fields, _, tail = line.partition(" - ")
            kind, source, *_ = tail.split(" ")
            _, _, device, _, path, *_ = fields.split(" ")
            yield Mount(path, device, kind, source)

    def _run(self, *command: str) -> None:
        result = run(command, seconds=_SECONDS)
        if result.failure == "not found":
            raise CannotMergeError(
                f"There is no {command[0]} on this system",
                hint="Components below /usr need systemd 250 or newer; nothing was changed",
            )
        if result.failure == "timed out":
            raise CannotMergeError(
                f"`{' '.join(command)}` did not end within {_SECONDS:.0f} seconds",
                hint="Restart the machine; it starts with its base",
            )
        if not result.succeeded:
            raise CannotMergeError(
                f"`{' '.join(command)}` failed: {result.reason}",
                hint="Run it as root, outside of containers and of services with their own root",
            )
