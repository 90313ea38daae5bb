"""A Debian image that boots, with Repoint's package and a service that uses a library."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("systemd", "systemd-sysv", "udev", "dbus", "kmod", "python3", "linux-image-cloud-amd64",
            "zstd", "cryptsetup-bin")  # fmt: skip
SIZE = "3G"
VAR_SIZE = "1G"
LIBRARY = "usr/lib/acme/libcodec.so"
TABLE = "usr/lib/core/table"
PASSCODE = "let me through"
"""Of root, which the Settings page asks for."""

SERVICE = """\
[Unit]
Description=A service that uses the library
[Service]
Type=notify
ExecStart=/usr/bin/python3 -u /usr/lib/acme/service.py
# As short as a busy emulator allows; systemd's own is a minute and a half.
TimeoutStartSec=60
[Install]
WantedBy=multi-user.target
"""
CONTROL = """\
[Unit]
Description=Does what the test asks for
# Also where the start of the machine hangs.
DefaultDependencies=no
After=systemd-journald.socket local-fs.target
[Service]
ExecStart=/usr/bin/python3 /usr/lib/control.py
[Install]
WantedBy=sysinit.target
"""
NETWORK = "[Match]\nType=ether\n[Network]\nDHCP=yes\n"
UNUSED = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
          "e2scrub_reap.service", "fstrim.timer", "getty@tty1.service", "getty-static.service",
          "serial-getty@ttyS0.service")  # fmt: skip
"""What costs time in an emulator and has no part in what is tested."""


@dataclass(frozen=True)
class Image:
    """The disks and the kernel of a machine.

    Attributes:
        disk: The writable disk: everything, or only /var if the root has a separate disk.
        kernel: The kernel.
        initrd: The initial RAM disk.
        root: A read-only disk that dm-verity checks; its hashes are in a file next to it. If None,
            everything is on `disk`.
    """

    disk: Path
    kernel: Path
    initrd: Path
    root: Path | None = None

    @property
    def hashes(self) -> Path:
        """The disk with the hashes of the root."""
        assert self.root is not None
        return self.root.with_suffix(".hashes")

    @property
    def root_hash(self) -> str:
        """The root hash, which is passed on the kernel's command line."""
        assert self.root is not None
        return self.root.with_suffix(".roothash").read_text().strip()


def image_in(folder: Path, *, verity: bool = False) -> Image:
    """Return the paths of an image in a folder."""
    root = folder / "root.raw" if verity else None
    return Image(folder / ("var.raw" if verity else "disk.raw"), folder / "vmlinuz",
                 folder / "initrd", root)  # fmt: skip


def library(folder: Path, version: int, *, hangs: bool = False) -> Path:
    """Compile the library. Its answer identifies the version that a process has loaded.

    Args:
        folder: The folder for the library.
        version: Its answer.
        hangs: Whether a program that loads it hangs.
    """
    source = folder / f"codec{version}.c"
    text = f"int version(void) {{ return {version}; }}\n"
    if hangs:
        text += (
            "#include <unistd.h>\n"
            "__attribute__((constructor)) static void hang(void) { for (;;) sleep(1000); }\n"
        )
    source.write_text(text)
    made = folder / f"libcodec.{version}.so"
    run("gcc", "-shared", "-fPIC", "-O2", "-o", str(made), str(source))
    return made


def make_image(image: Image, folder: Path, package: Path, codec: Path) -> None:
    """Install Debian into a disk image. The result of mmdebstrap is cached."""
    root = folder / "root"
    include = ",".join([*PACKAGES, *_dependencies(package)])
    cached = folder / "root.packages"
    if not cached.exists() or cached.read_text() != include:
        cached.unlink(missing_ok=True)
        run("mmdebstrap", "--variant=minbase", f"--include={include}",
            "--aptopt=Acquire::Languages \"none\"", "--dpkgopt=path-exclude=/usr/share/doc/*",
            "bookworm", str(folder / "new-root.tar"))  # fmt: skip
        (folder / "new-root.tar").rename(folder / "root.tar")
        cached.write_text(include)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    run("tar", "-xf", str(folder / "root.tar"), "-C", str(root))
    here = Path(__file__).parent
    for name, text in {
        "etc/systemd/system/acme.service": SERVICE,
        "etc/systemd/system/control.service": CONTROL,
        "etc/systemd/network/ether.network": NETWORK,
        "etc/fstab": "" if image.root else "/dev/vda / ext4 defaults 0 1\n",
        "usr/lib/control.py": (here / "control.py").read_text(),
        "usr/lib/acme/service.py": (here / "service.py").read_text(),
        "usr/lib/page.py": (here / "page.py").read_text(),
        TABLE: "old table\n",
    }.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    shutil.copy(codec, root / LIBRARY)
    for name in (LIBRARY, TABLE):
        (root / name).chmod(0o644)
    shutil.copy(package, root / "repoint.deb")
    run("chroot", str(root), "dpkg", "-i", "/repoint.deb")
    (root / "repoint.deb").unlink()
    run("chroot", str(root), "sh", "-c", f"echo 'root:{PASSCODE}' | chpasswd")
    for unit in ("acme.service", "control.service", "systemd-networkd.service"):
        run("chroot", str(root), "systemctl", "enable", unit)
    run("chroot", str(root), "systemctl", "mask", *UNUSED)
    if image.root is not None:
        _start_with_verity(root)
    shutil.copy(next(root.glob("boot/vmlinuz-*")), image.kernel)
    shutil.copy(next(root.glob("boot/initrd.img-*")), image.initrd)
    image.disk.unlink(missing_ok=True)
    if image.root is None:
        run("mkfs.ext4", "-q", "-d", str(root), str(image.disk), SIZE)
    else:
        _divide(image, root)
    shutil.rmtree(root)


def _dependencies(package: Path) -> list[str]:
    """Return the Debian packages that Repoint's package depends on."""
    fields = run("dpkg-deb", "--field", str(package), "Depends").split(",")
    return sorted({re.split(r"[ (]", field.strip())[0] for field in fields})


def _start_with_verity(root: Path) -> None:
    """Configure the start of the machine to verify its root."""
    scripts = root / "etc/initramfs-tools"
    here = Path(__file__).parent / "verity"
    for name, place in {"hook": "hooks/verity", "open": "scripts/local-top/verity",
                        "writable": "scripts/local-bottom/writable"}.items():  # fmt: skip
        (scripts / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here / name, scripts / place)
        (scripts / place).chmod(0o755)
    # Only drivers that the machine needs: unpacking more takes long in an emulator.
    (scripts / "conf.d/modules").write_text("MODULES=list\n")
    (scripts / "modules").write_text("virtio_pci\nvirtio_blk\next4\n")
    run("chroot", str(root), "update-initramfs", "-u")
    shutil.copy(root / "usr/share/systemd/tmp.mount", root / "etc/systemd/system/tmp.mount")
    run("chroot", str(root), "systemctl", "enable", "tmp.mount")


def _divide(image: Image, root: Path) -> None:
    """Put /var on a separate disk, and everything else on a read-only one."""
    assert image.root is not None
    var = root.with_name("var")
    shutil.rmtree(var, ignore_errors=True)
    (root / "var").rename(var)
    (root / "var").mkdir()
    for name in ("upper", "work"):
        (var / "lib/etc" / name).mkdir(parents=True)
    for path in (image.root, image.hashes):
        path.unlink(missing_ok=True)
    run("mkfs.ext4", "-q", "-d", str(var), str(image.disk), VAR_SIZE)
    run("mkfs.ext4", "-q", "-O", "^has_journal", "-d", str(root), str(image.root), SIZE)
    printed = run("veritysetup", "format", str(image.root), str(image.hashes))
    (found,) = [line.split()[-1] for line in printed.splitlines() if line.startswith("Root hash:")]
    image.root.with_suffix(".roothash").write_text(found)
    shutil.rmtree(var)


def run(*command: str) -> str:
    """Run a program, and print its output if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    return done.stdout
