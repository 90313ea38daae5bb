"""Build the Debian package: an environment for the system's own Python, laid out by debhelper."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
UNUSED = ("numpy/*/tests", "numpy/tests", "numpy/_core/include", "numpy/f2py", "numpy/_pyinstaller",
          "numpy/_core/_*_tests.*.so", "**/.gitignore")  # fmt: skip
"""Parts of packages that nothing here runs."""


def build(out: Path, maintainer: str) -> Path:
    """Build the package and return its file."""
    for program in ("dpkg-buildpackage", "dh"):
        if shutil.which(program) is None:
            raise SystemExit(f"make deb needs {program}: apt install dpkg-dev debhelper")
    source = out / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "packaging/debian", source / "debian")
    for name in ("README.md", "docs"):
        place = ROOT / name
        shutil.copytree(place, source / name) if place.is_dir() else shutil.copy(place, source)
    shutil.move(source / "debian/50repoint", source)
    now = _time()
    version = _ask("-c", "import repoint; print(repoint.__version__)", python=sys.executable)
    _environment(source / "environment")
    _run([sys.executable, str(ROOT / "packaging/manual.py"), str(source / "manual"),
          "--date", f"{now:%Y-%m-%d}"])  # fmt: skip
    _fill(source / "debian/control", maintainer)
    (source / "debian/changelog").write_text(
        f"repoint ({version}) unstable; urgency=medium\n\n"
        "  * What changed for people who use Repoint stands in CHANGELOG.md.\n\n"
        f" -- {maintainer}  {format_datetime(now)}\n"
    )
    # The wheels come stripped, so there is nothing to keep for a debugger.
    environment = {**os.environ, "DEB_BUILD_OPTIONS": "noautodbgsym"}
    _run(["dpkg-buildpackage", "-us", "-uc", "-b"], cwd=source, environment=environment)
    (made,) = out.glob(f"repoint_{version}_*.deb")
    _try(made, out / "tried")
    return made


def _try(package: Path, place: Path) -> None:
    """Load everything that is compiled, as it is in the package."""
    shutil.rmtree(place, ignore_errors=True)
    _run(["dpkg-deb", "-x", str(package), str(place)])
    (modules,) = place.glob("usr/lib/repoint/lib/python3*/site-packages")
    code = "import sys; sys.path.insert(0, sys.argv[1]); "
    code += "import repoint.delta.sandbox.decoder as decoder; "
    code += "import repoint.device.fetch.client, repoint.page; decoder.prepare()"
    _run([PYTHON, "-I", "-B", "-c", code, str(modules)])
    shutil.rmtree(place)


def _environment(place: Path) -> None:
    """What is to stand in /usr/lib/repoint."""
    _run([PYTHON, "-m", "venv", "--without-pip", str(place)])
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python")]
    _run([*pip, "install", "--quiet", "--no-compile", "--disable-pip-version-check",
          "-c", str(ROOT / "requirements/dev.txt"), str(ROOT)])  # fmt: skip
    binaries = place / "bin"
    for path in binaries.iterdir():
        if not path.name.startswith("python"):
            path.unlink()
    (binaries / "repoint").write_text(
        "#!/usr/lib/repoint/bin/python -I\nfrom repoint.cli import main\n\nmain()\n"
    )
    (binaries / "repoint").chmod(0o755)
    (place / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    for pattern in UNUSED:
        for path in list(place.glob(f"lib/python3*/site-packages/{pattern}")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in [*place.rglob("__pycache__")]:
        shutil.rmtree(path)
    (place / "lib64").unlink(missing_ok=True)
    shutil.rmtree(place / "include", ignore_errors=True)
    for path in place.glob("lib/python3*/site-packages/*.dist-info"):
        # Notes of the installer, of which one names a folder of this machine.
        for name in ("direct_url.json", "INSTALLER", "REQUESTED"):
            (path / name).unlink(missing_ok=True)


def _fill(control: Path, maintainer: str) -> None:
    minor = int(_ask("-c", "import sys; print(sys.version_info.minor)", python=PYTHON))
    python = f"python3 (>= 3.{minor}), python3 (<< 3.{minor + 1})"
    text = control.read_text().replace("@MAINTAINER@", maintainer).replace("@PYTHON@", python)
    control.write_text(text)


def _time() -> datetime:
    """Of the last change, so that the same source gives the same package."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if epoch is None:
        done = subprocess.run(
            ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True
        )
        epoch = done.stdout.strip() or "0"
    return datetime.fromtimestamp(int(epoch), UTC)


def _ask(*arguments: str, python: str) -> str:
    done = subprocess.run([python, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _run(
    command: list[str], cwd: Path | None = None, environment: dict[str, str] | None = None
) -> None:
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
        raise SystemExit(f"{command[0]} failed with status {done.returncode}")


def main() -> None:
    """Build it, and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build/deb")
    name = os.environ.get("DEBFULLNAME", "Repoint maintainers")
    mail = os.environ.get("DEBEMAIL", "maintainers@repoint.example")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    made = build(asked.out, f"{name} <{mail}>")
    print(f"{made}: {made.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
