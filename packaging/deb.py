"""Build the Debian package: Repoint, and those of its dependencies that Debian lacks."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from debian_packages import bundled, depends

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
TOOLS = {
    "dpkg-buildpackage": "dpkg-dev",
    "dh": "debhelper",
    "strip": "binutils",
    PYTHON: "python3",
}
"""The programs that the build runs, and the packages that bring them."""

UNUSED = (".gitignore", "tests", "test_data")
"""Parts of the bundled packages that nothing here runs."""


def build(out: Path, maintainer: str) -> Path:
    """Build the package and return its file."""
    source = out / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "packaging/debian", source / "debian")
    for name in ("README.md", "docs"):
        path = ROOT / name
        shutil.copytree(path, source / name) if path.is_dir() else shutil.copy(path, source)
    shutil.move(source / "debian/50repoint", source)
    (source / "dpkg.cfg.d").mkdir()
    shutil.move(source / "debian/repoint.cfg", source / "dpkg.cfg.d/repoint")
    now = _time()
    version = _output("-c", "import repoint; print(repoint.__version__)", python=sys.executable)
    _step(f"Installing Repoint and {len(bundled())} packages that Debian lacks")
    _environment(source / "environment")
    _step("Writing man pages and shell completion")
    _run([sys.executable, str(ROOT / "packaging/manual.py"), str(source / "manual"),
          "--date", f"{now:%Y-%m-%d}"])  # fmt: skip
    _fill(source / "debian/control", maintainer, source / "environment")
    (source / "debian/changelog").write_text(
        f"repoint ({version}) unstable; urgency=medium\n\n"
        "  * CHANGELOG.md lists what changed.\n\n"
        f" -- {maintainer}  {format_datetime(now)}\n"
    )
    _step("Building the package")
    # The wheels' libraries have no debug information worth a package of its own.
    environment = {**os.environ, "DEB_BUILD_OPTIONS": "noautodbgsym"}
    _run(["dpkg-buildpackage", "-us", "-uc", "-b"], cwd=source, environment=environment)
    (package,) = out.glob(f"repoint_{version}_*.deb")
    _step("Loading what is compiled in it")
    _load(package, out / "unpacked")
    return package


def check_tools() -> None:
    """Check that all programs are there.

    Raises:
        SystemExit: One is missing; says which packages to install.
    """
    missing = sorted(package for tool, package in TOOLS.items() if shutil.which(tool) is None)
    if missing:
        raise SystemExit(
            f"make deb needs {', '.join(missing)}. Run: apt-get install {' '.join(missing)}"
        )


def _load(package: Path, folder: Path) -> None:
    """Load every compiled module as it is after stripping, with Debian's own interpreter."""
    shutil.rmtree(folder, ignore_errors=True)
    _run(["dpkg-deb", "-x", str(package), str(folder)])
    modules = folder / "usr/lib/repoint/lib"
    code = (
        "import ctypes, pathlib, sys; paths = list(pathlib.Path(sys.argv[1]).rglob('*.so')); "
        "assert paths; [ctypes.PyDLL(str(path)) for path in paths]"
    )
    _run([PYTHON, "-I", "-B", "-c", code, str(modules)])
    shutil.rmtree(folder)


def _environment(folder: Path) -> None:
    """Lay out /usr/lib/repoint: an environment that Debian's own Python packages extend."""
    _run([PYTHON, "-m", "venv", "--without-pip", str(folder)])
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install",
           "--quiet", "--no-compile", "--no-deps", "--disable-pip-version-check"]  # fmt: skip
    pinned = [line for line in bundled() if "==" in line]
    locked = [line for line in bundled() if "==" not in line]
    constraints = str(ROOT / "requirements/dev.txt")
    _run([*pip, "-c", constraints, *locked, str(ROOT)])
    _run([*pip, *pinned])
    binaries = folder / "bin"
    for path in binaries.iterdir():
        if not path.name.startswith("python"):
            path.unlink()
    (binaries / "repoint").write_text(
        "#!/usr/lib/repoint/bin/python -I\nfrom repoint.cli import main\n\nmain()\n"
    )
    (binaries / "repoint").chmod(0o755)
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    (modules,) = folder.glob("lib/python3*/site-packages")
    # Not the switch above: that would add /usr/local too, which is not Debian's.
    (modules / "debian.pth").write_text("/usr/lib/python3/dist-packages\n")
    (folder / "lib64").unlink(missing_ok=True)
    shutil.rmtree(folder / "include", ignore_errors=True)
    for pattern in UNUSED:
        for path in list(folder.rglob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in modules.glob("*.dist-info"):
        # The installer's notes; one of them names a folder of this machine.
        for name in ("direct_url.json", "INSTALLER", "REQUESTED", "RECORD"):
            (path / name).unlink(missing_ok=True)
    # Without times, so that the same source gives the same package; Python never rewrites these.
    _run([PYTHON, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
          "-s", str(folder), "-p", "/usr/lib/repoint", str(modules)])  # fmt: skip


def _fill(control: Path, maintainer: str, environment: Path) -> None:
    (modules,) = environment.glob("lib/python3*/site-packages")
    minor = int(_output("-c", "import sys; print(sys.version_info.minor)", python=PYTHON))
    values = {
        "@MAINTAINER@": maintainer,
        "@PYTHON@": f"python3 (>= 3.{minor}), python3 (<< 3.{minor + 1})",
        "@DEBIAN@": depends(modules),
    }
    text = control.read_text()
    for name, value in values.items():
        text = text.replace(name, value)
    control.write_text(text)


def _time() -> datetime:
    """Return the time of the last commit, so that the same source gives the same package."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch is None:
        completed = subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True
        )
        epoch = completed.stdout.strip() or "0"
    return datetime.fromtimestamp(int(epoch), UTC)


def _step(name: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {name} …", flush=True)


def _output(*arguments: str, python: str) -> str:
    completed = subprocess.run([python, *arguments], check=True, capture_output=True, text=True)
    return completed.stdout.strip()


def _run(
    command: list[str], cwd: Path | None = None, environment: dict[str, str] | None = None
) -> None:
    completed = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    if completed.returncode != 0:
        sys.stderr.write(completed.stdout[-4000:] + completed.stderr[-4000:])
        raise SystemExit(f"{command[0]} failed with status {completed.returncode}")


def installed_size(package: Path) -> int:
    """Return the size of a package's files on disk in kB of 1024 bytes, as dpkg states it."""
    completed = subprocess.run(
        ["dpkg-deb", "--field", str(package), "Installed-Size"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return int(completed.stdout)


def main() -> None:
    """Build the package and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build/deb")
    name = os.environ.get("DEBFULLNAME", "Repoint maintainers")
    mail = os.environ.get("DEBEMAIL", "maintainers@repoint.example")
    arguments = parser.parse_args()
    check_tools()
    arguments.out.mkdir(parents=True, exist_ok=True)
    package = build(arguments.out, f"{name} <{mail}>")
    print(f"{package}: {package.stat().st_size / 1e6:.1f} MB to download, "
          f"{installed_size(package) * 1024 / 1e6:.1f} MB installed")  # fmt: skip


if __name__ == "__main__":
    main()
