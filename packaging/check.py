"""Install the Debian package in a fresh Debian 12, use it, purge it and compare the files."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NOT_OURS = (
    "var/lib/dpkg",
    "var/log",
    "var/lib/apt",
    "var/cache",
    "proc",
    "dev",
    "sys",
    "tmp",
    "root",
)
"""Folders in which dpkg and apt keep their own records, or the check puts its own files."""


def dependencies(package: Path) -> list[str]:
    """Return the names of the packages that a .deb depends on, without their versions."""
    completed = subprocess.run(
        ["dpkg-deb", "--field", str(package), "Depends"], check=True, capture_output=True, text=True
    )
    return sorted({re.split(r"[ (]", each.strip())[0] for each in completed.stdout.split(",")})


def make_system(folder: Path, packages: list[str]) -> None:
    """Make a minimal Debian 12 with these packages; what mmdebstrap makes is kept beside it."""
    archive, made_with = folder.with_suffix(".tar"), folder.with_suffix(".packages")
    include = ",".join(packages)
    if not made_with.exists() or made_with.read_text() != include:
        made_with.unlink(missing_ok=True)
        run(["mmdebstrap", "--variant=minbase", f"--include={include}",
             "--aptopt=Acquire::Languages \"none\"", "--dpkgopt=path-exclude=/usr/share/doc/*",
             "bookworm", str(archive)])  # fmt: skip
        made_with.write_text(include)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    run(["tar", "-xf", str(archive), "-C", str(folder)])


def files(system: Path) -> set[str]:
    """Return all paths of a system but those in folders that are not ours, and compiled modules."""
    found = set()
    for folder, folders, names in os.walk(system):
        relative = Path(folder).relative_to(system)
        folders[:] = [name for name in folders if str(relative / name) not in NOT_OURS]
        # Debian's own Python packages may gain compiled modules when root uses them.
        found |= {
            str(relative / name) for name in (*folders, *names) if "__pycache__" not in folder
        }
    return {path for path in found if not path.endswith("__pycache__")}


def in_system(system: Path, script: str) -> str:
    """Run a shell script in the system, in namespaces of its own; return its output."""
    proc, dev = system / "proc", system / "dev"
    inner = (
        f"mount -t proc proc '{proc}' && mount --rbind /dev '{dev}' && "
        "exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "
        f"chroot '{system}' sh -euc \"$0\""
    )
    return run(["unshare", "--mount", "--pid", "--fork", "sh", "-c", inner, script])


def added_size(system: Path, packages: list[str]) -> float:
    """Return the size of these packages and what only they need, installed, in MB."""
    names = " ".join(packages)
    script = (
        "cp -a /var/lib/apt /root/apt; "
        f"apt-mark auto {names} >/dev/null; apt-get -s autoremove | sed -n 's/^Remv //p'; "
        "rm -rf /var/lib/apt; mv /root/apt /var/lib/apt"
    )
    output = in_system(system, script)
    removed = {line.split()[0] for line in output.splitlines()}
    sizes = in_system(system, "dpkg-query -W -f '${Package} ${Installed-Size}\\n'")
    return sum(
        int(size) * 1024 / 1e6
        for name, size in map(str.split, sizes.splitlines())
        if name in removed
    )


def run(command: list[str]) -> str:
    """Run a program; return its output.

    Raises:
        SystemExit: It failed; shows the end of what it printed.
    """
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode != 0:
        output = completed.stdout[-4000:] + completed.stderr[-4000:]
        raise SystemExit(f"{command[0]} failed with status {completed.returncode}:\n{output}")
    return completed.stdout


def main() -> None:
    """Check one package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("--system", type=Path, default=ROOT / "build/deb/system")
    arguments = parser.parse_args()
    system: Path = arguments.system.resolve()
    print("Making a Debian 12 with what the package depends on …", flush=True)
    make_system(system, dependencies(arguments.package))
    debian = [name for name in dependencies(arguments.package) if name != "python3"]
    print(
        f"Debian's own packages that it needs beside python3: {added_size(system, debian):.1f} MB"
    )
    before = files(system)
    shutil.copy(arguments.package, system / "root/repoint.deb")
    shutil.copy(HERE / "check.sh", system / "root/check.sh")
    print("Installing and using it …", flush=True)
    print(in_system(system, "dpkg -i /root/repoint.deb >/dev/null; sh -eu /root/check.sh"))
    during = files(system)
    if not {path for path in during - before if path.startswith("var/lib/repoint/")}:
        raise SystemExit("The check has used no store")
    print("Purging it …", flush=True)
    print(in_system(system, "apt-get -y purge repoint; cat /srv/app/engine/main.txt"))
    left, gone = sorted(files(system) - before), sorted(before - files(system))
    left = [path for path in left if not path.startswith("srv/")]
    if left or gone:
        raise SystemExit(f"Left behind: {left or 'nothing'}. Missing: {gone or 'nothing'}")
    if (system / "srv/app/engine").is_symlink():
        raise SystemExit("The product still runs from the store that is gone")
    print(f"Nothing is left behind of {len(during - before)} paths.")
    shutil.rmtree(system)


if __name__ == "__main__":
    main()
