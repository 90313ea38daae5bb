"""A Debian that boots, with Repoint from its own package and a service that uses a library."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("systemd", "systemd-sysv", "udev", "dbus", "kmod", "python3", "linux-image-cloud-amd64",
            "zstd")  # fmt: skip
SIZE = "3G"
LIBRARY = "usr/lib/acme/libcodec.so"

SERVICE = """\
[Unit]
Description=A service that uses the library
[Service]
ExecStart=/usr/bin/python3 -u -c "import ctypes, time; c = ctypes.CDLL('/usr/lib/acme/libcodec.so'); print('codec', c.version(), flush=True); time.sleep(1000000)"
[Install]
WantedBy=multi-user.target
"""
CONTROL = """\
[Unit]
Description=Does what the test asks for
After=multi-user.target
[Service]
ExecStart=/usr/bin/python3 /usr/lib/control.py
[Install]
WantedBy=multi-user.target
"""
NETWORK = "[Match]\nType=ether\n[Network]\nDHCP=yes\n"


@dataclass(frozen=True)
class Image:
    """What a machine starts from."""

    disk: Path
    kernel: Path
    initrd: Path


def library(folder: Path, version: int) -> Path:
    """Compile the library; what it answers tells which one a process has loaded."""
    source = folder / f"codec{version}.c"
    source.write_text(f"int version(void) {{ return {version}; }}\n")
    made = folder / f"libcodec.{version}.so"
    run("gcc", "-shared", "-fPIC", "-O2", "-o", str(made), str(source))
    return made


def make_image(image: Image, folder: Path, package: Path, codec: Path) -> None:
    """Install a Debian into a disk image. What mmdebstrap has made once is used again."""
    root = folder / "root"
    if not (folder / "root.tar").exists():
        run("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
            "--aptopt=Acquire::Languages \"none\"", "--dpkgopt=path-exclude=/usr/share/doc/*",
            "bookworm", str(folder / "root.tar"))  # fmt: skip
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    run("tar", "-xf", str(folder / "root.tar"), "-C", str(root))
    for name, text in {
        "etc/systemd/system/acme.service": SERVICE,
        "etc/systemd/system/control.service": CONTROL,
        "etc/systemd/network/ether.network": NETWORK,
        "etc/fstab": "/dev/vda / ext4 defaults 0 1\n",
        "usr/lib/control.py": Path(__file__).with_name("control.py").read_text(),
    }.items():
        (root / name).write_text(text)
    (root / LIBRARY).parent.mkdir()
    shutil.copy(codec, root / LIBRARY)
    (root / LIBRARY).chmod(0o644)
    shutil.copy(package, root / "repoint.deb")
    run("chroot", str(root), "dpkg", "-i", "/repoint.deb")
    for unit in ("acme.service", "control.service", "systemd-networkd.service"):
        run("systemctl", f"--root={root}", "enable", unit)
    run("systemctl", f"--root={root}", "mask", "apt-daily.timer", "apt-daily-upgrade.timer")
    (root / "repoint.deb").unlink()
    shutil.copy(next(root.glob("boot/vmlinuz-*")), image.kernel)
    shutil.copy(next(root.glob("boot/initrd.img-*")), image.initrd)
    image.disk.unlink(missing_ok=True)
    run("mkfs.ext4", "-q", "-d", str(root), str(image.disk), SIZE)
    shutil.rmtree(root)


def run(*command: str) -> None:
    """Run a program, and show what it said where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
