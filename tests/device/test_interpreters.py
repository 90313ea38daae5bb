"""Programs that read their code and close it: what they run is judged, or said to be unknown."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from repoint.agent.overview.overview import read_overview
from repoint.device.status.census import census_of
from repoint.host.host import Host
from repoint.model.baseline import BaselineName
from tests.places import Place, wait_for
from tests.serving import WebServer
from tests.world import PLATFORM, Files, Vendor


def application() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("__main__.py", SERVES)
    return packed.getvalue()


SERVES = "import time; print('ready', flush=True); time.sleep(600)\n"
IMPORTS = "import sys; sys.path.insert(0, sys.argv[1]); import late\n" + SERVES
PERL = "$| = 1; print qq(ready\\n); sleep 600;\n"
NODE = "console.log('ready'); setTimeout(() => {}, 600000)\n"
OLD: Files = {
    "bin/serve.py": SERVES, "bin/serve.pl": PERL, "bin/serve.sh": "echo ready; sleep 600 & wait\n",
    "bin/serve.js": NODE, "script.py": "import os; os.chdir('/')\n" + SERVES,
    "pack/__init__.py": "", "pack/__main__.py": SERVES, "single.py": SERVES,
    "app.pyz": application(), "late.py": "VERSION = 'old'\n", "data/rules": "old\n",
    "removed.py": SERVES,
}  # fmt: skip
NAMED = BaselineName(PLATFORM, "27", "27A1")
FIXED: Files = {**OLD, "late.py": "VERSION = 'new'\n", "data/rules": "new\n"}


class Programs:
    """Programs that a test starts; all are ended after it."""

    def __init__(self, outside: Path) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self.outside = outside
        (outside / "imports.py").write_text(IMPORTS)
        (outside / "serves.py").write_text(SERVES)
        (outside / "serves.pl").write_text(PERL)
        (outside / "serves.js").write_text(NODE)
        (outside / "leaves.py").write_text("import os; os.chdir('/')\n" + SERVES)
        (outside / "engine").mkdir()

    def start(
        self, command: list[str], folder: Path | None = None, **variables: str
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            cwd=folder or self.outside,
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **variables},
            start_new_session=True,
        )
        self.started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    def end(self) -> None:
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    (tmp_path / "outside").mkdir()
    started = Programs(tmp_path / "outside")
    yield started
    started.end()


@pytest.fixture
def enrolled(place: Place, vendor: Vendor) -> Place:
    vendor.baseline({"engine": OLD}, name=NAMED)
    place.put(OLD)
    place.enroll(version="27")
    return place


def switch(place: Place, vendor: Vendor, files: Files = FIXED) -> None:
    """Put a fix in force without closing anything."""
    vendor.release({"engine": files}, name=NAMED)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    state = place.product
    staged = state.links.staged()
    assert staged is not None
    state.links.point_active(staged)
    state.links.clear_staged()


def judged(place: Place) -> tuple[list[int], list[int]]:
    """The processes that are exposed, and those of which it is unknown."""
    status = place.device.status(None)
    return [p.pid for p in status.exposed], [p.pid for p in status.unknown]


PYTHON = shutil.which("python3", path="/usr/bin:/bin") or "python3"

Case = tuple[list[str], bool, dict[str, str]]
"""A command, whether it works in the component's folder, and variables of its environment."""

SCRIPTS: dict[str, Case] = {
    "a script": ([PYTHON, "{graft}/bin/serve.py"], False, {}),
    "a script behind options":
        ([PYTHON, "-B", "-W", "ignore", "{graft}/bin/serve.py", "--port=1"], False, {}),
    "a script by a relative path": ([PYTHON, "{relative}/bin/serve.py"], False, {}),
    "a script in the working folder": ([PYTHON, "bin/serve.py"], True, {}),
    "a script through a link": ([PYTHON, "link/bin/serve.py"], False, {}),
    "a zip application": ([PYTHON, "{graft}/app.pyz"], False, {}),
    "a folder with a program": ([PYTHON, "{graft}/pack"], False, {}),
    "a package as a module": ([PYTHON, "-m", "pack"], True, {}),
    "a module of the working folder": ([PYTHON, "-B", "-m", "single"], True, {}),
    "a module of a search path": ([PYTHON, "-m", "single"], False, {"PYTHONPATH": "{graft}"}),
    "a script that the fix removes": ([PYTHON, "{graft}/removed.py"], False, {}),
    "perl": (["perl", "-w", "{graft}/bin/serve.pl"], False, {}),
    "node": (["node", "{graft}/bin/serve.js"], False, {}),
    "a shell": (["bash", "{graft}/bin/serve.sh"], False, {}),
}  # fmt: skip
MENTIONS: dict[str, Case] = {
    "an argument": ([PYTHON, "imports.py", "{graft}"], False, {}),
    "an option's value": ([PYTHON, "serves.py", "--plugins={graft}/pack"], False, {}),
    "a search path of Perl": (["perl", "-I{graft}/bin", "serves.pl"], False, {}),
    "a relative search path": ([PYTHON, "serves.py"], False, {"PYTHONPATH": "/x:{relative}"}),
    "a relative search path of Perl": (["perl", "serves.pl"], False, {"PERL5LIB": "{relative}/bin"}),
    "a relative search path of Node": (["node", "{outside}/serves.js"], False, {"NODE_PATH": "link"}),
    "a search path that is one word": ([PYTHON, "serves.py"], False, {"PYTHONPATH": "link"}),
    "a relative search path for code in an argument":
        ([PYTHON, "-c", "import late\n" + SERVES], False, {"PYTHONPATH": "link"}),
    "a relative option's value": (["perl", "-Ilink/bin", "serves.pl"], False, {}),
    "an option's value that is one word": (["perl", "-Ilink", "serves.pl"], False, {}),
    "an argument that is one word": ([PYTHON, "imports.py", "link"], False, {}),
    "a relative home": ([PYTHON, "serves.py"], False, {"APP_HOME": "./link"}),
    "code in an argument, in the folder": ([PYTHON, "-c", "import late\n" + SERVES], True, {}),
    "a module from elsewhere, in the folder":
        ([PYTHON, "-m", "serves"], True, {"PYTHONPATH": "{outside}"}),
    "a script in a folder that it left": ([PYTHON, "leaves/script.py"], False, {"PWD": "{outside}"}),
    "a search path in a folder that it left":
        ([PYTHON, "leaves.py"], False, {"PYTHONPATH": "link", "PWD": "{outside}"}),
    "a search path in a folder that nobody knows":
        ([PYTHON, "leaves.py"], False, {"PYTHONPATH": "{lost}/bin"}),
    "the folder that it left": ([PYTHON, "{outside}/leaves.py"], True, {"PWD": "{graft}"}),
    "a search path of Python": ([PYTHON, "serves.py"], False, {"PYTHONPATH": "/x:{graft}"}),
    "a variable of the program": ([PYTHON, "serves.py"], False, {"APP_HOME": "{graft}"}),
    "the working folder": ([PYTHON, "{outside}/serves.py"], True, {}),
    "a data file of another program":
        (["timeout", "600", "perl", "serves.pl", "{graft}/data/rules"], False, {}),
}  # fmt: skip
UNRELATED: dict[str, Case] = {
    "a script from elsewhere": ([PYTHON, "serves.py"], False, {}),
    "a shell in the folder": (["bash", "-c", "echo ready; sleep 600"], True, {}),
    "a search path for programs": ([PYTHON, "serves.py"], False, {"PATH": "/usr/bin:{graft}"}),
    "a relative search path to elsewhere": (
        [PYTHON, "serves.py"],
        False,
        {"PYTHONPATH": "lib:sub/lib"},
    ),
    "a word that is no path": ([PYTHON, "serves.py", "engine"], False, {"LANG": "engine"}),
    "a folder of the same name": ([PYTHON, "serves.py"], False, {"PYTHONPATH": "engine"}),
    "where the person was": ([PYTHON, "serves.py"], False, {"OLDPWD": "{graft}"}),
    "a path that only begins alike": ([PYTHON, "serves.py", "{graft}.before/x"], False, {}),
    "text that contains the path": ([PYTHON, "serves.py", "see:x{graft}"], False, {}),
}


@dataclass
class Judgement:
    """What was judged of processes that were started before a switch and after it."""

    before: dict[str, int]
    after: dict[str, int]
    at_first: tuple[list[int], list[int]]
    exposed: list[int]
    unknown: list[int]
    verdict: str


@pytest.fixture(scope="module")
def judgement(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judgement]:
    """Start all cases, put a fix in force, and start them all again."""
    folder = tmp_path_factory.mktemp("judgement")
    vendor = Vendor(folder / "vendor")
    with contextlib.closing(WebServer(vendor.public)) as server:
        place = Place(folder / "device", server, vendor)
        vendor.baseline({"engine": OLD}, name=NAMED)
        place.put(OLD)
        place.enroll(version="27")
        (folder / "outside").mkdir()
        programs = Programs(folder / "outside")
        (folder / "outside/link").symlink_to(place.graft)
        (folder / "outside/leaves").symlink_to(place.graft)
        try:
            before = start_all(place, programs)
            at_first = judged(place)
            removed = {path: text for path, text in FIXED.items() if path != "removed.py"}
            switch(place, vendor, removed)
            after = start_all(place, programs, but="a script that the fix removes")
            exposed, unknown = judged(place)
            verdict = place.device.status(None).verdict
            yield Judgement(before, after, at_first, exposed, unknown, verdict)
        finally:
            programs.end()


def start_all(place: Place, programs: Programs, but: str = "") -> dict[str, int]:
    known = {
        "graft": str(place.graft),
        "outside": str(programs.outside),
        "lost": os.path.relpath(place.graft, place.graft.parents[3]),
        "relative": os.path.relpath(place.graft, programs.outside),
    }
    started = {}
    for kind, (words, inside, variables) in {**SCRIPTS, **MENTIONS, **UNRELATED}.items():
        if shutil.which(words[0]) is not None and kind != but:
            command = [word.format(**known) for word in words]
            environment = {name: value.format(**known) for name, value in variables.items()}
            folder = place.graft if inside else None
            started[kind] = programs.start(command, folder, **environment).pid
    return started


def test_nothing_is_exposed_or_unknown_before_anything_is_replaced(judgement: Judgement) -> None:
    assert judgement.at_first == ([], [])


@pytest.mark.parametrize("kind", SCRIPTS)
def test_an_interpreter_of_a_script_of_the_component_is_exposed(
    judgement: Judgement, kind: str
) -> None:
    if kind not in judgement.before:
        pytest.skip("the interpreter is not installed")
    assert judgement.before[kind] in judgement.exposed
    assert judgement.before[kind] not in judgement.unknown
    assert judgement.after.get(kind) not in judgement.exposed


@pytest.mark.parametrize("kind", MENTIONS)
def test_a_program_that_only_names_the_component_is_unknown(
    judgement: Judgement, kind: str
) -> None:
    if kind not in judgement.before:
        pytest.skip("the interpreter is not installed")
    assert judgement.before[kind] in judgement.unknown
    assert judgement.before[kind] not in judgement.exposed
    assert judgement.after[kind] not in judgement.unknown


@pytest.mark.parametrize("kind", UNRELATED)
def test_a_program_without_a_relation_is_neither(judgement: Judgement, kind: str) -> None:
    assert judgement.before[kind] not in judgement.exposed + judgement.unknown


def test_a_program_that_started_after_the_switch_is_neither(judgement: Judgement) -> None:
    assert not set(judgement.after.values()) & set(judgement.exposed + judgement.unknown)


def test_an_exposed_program_decides_the_verdict_before_an_unknown_one(judgement: Judgement) -> None:
    assert judgement.verdict == "exposed"


@pytest.mark.slow
def test_a_worker_that_was_copied_from_an_old_process_is_as_old_as_that(
    enrolled: Place, vendor: Vendor, programs: Programs
) -> None:
    forks = (
        "import os, signal, time\nprint('ready', flush=True)\n"
        "signal.signal(signal.SIGUSR1, lambda *_: os.fork())\n"
        "while True: time.sleep(600)\n"
    )
    (programs.outside / "forks.py").write_text(forks)
    old = programs.start([PYTHON, "forks.py", str(enrolled.graft)])
    switch(enrolled, vendor)
    old.send_signal(signal.SIGUSR1)
    wait_for(lambda: len(judged(enrolled)[1]) == 2)


def test_a_restart_closes_a_script_of_the_component_and_leaves_the_unknown_alone(
    enrolled: Place, vendor: Vendor, programs: Programs
) -> None:
    script = programs.start([PYTHON, f"{enrolled.graft}/bin/serve.py"])
    unknown = programs.start([PYTHON, "imports.py", str(enrolled.graft)])
    vendor.release({"engine": FIXED}, name=NAMED)
    enrolled.device.check(None)
    enrolled.device.install(None, user_initiated=True)
    enrolled.device.restart(None)
    assert script.wait(10) == -signal.SIGTERM
    assert unknown.poll() is None
    assert judged(enrolled) == ([], [unknown.pid])
    overview = read_overview(enrolled.device, None)
    assert (overview.verdict, overview.status.protected) == ("unknown", False)


@pytest.mark.one_quick
@pytest.mark.parametrize("wrapper", [[], ["env", "-u", "REPOINT_TREE_ENGINE"]], ids=str)
def test_the_tree_of_a_launched_program_is_kept_although_it_closed_everything(
    enrolled: Place, vendor: Vendor, programs: Programs, wrapper: list[str]
) -> None:
    (programs.outside / "closes.py").write_text("import os; os.closerange(3, 256)\n" + SERVES)
    tree = enrolled.graft.resolve()
    switch(enrolled, vendor)
    first = enrolled.graft.resolve()
    launch = [sys.executable, "-m", "repoint", "launch", *wrapper, PYTHON, "closes.py"]
    programs.start(launch, REPOINT_STORE=str(enrolled.folder / "store"))
    switch(enrolled, vendor, {**FIXED, "late.py": "VERSION = 'newer'\n"})
    enrolled.device.check(None)
    assert first.is_dir()
    assert tree.is_dir()
    census = census_of(enrolled.device.store, Host.local())
    assert first.name in census.kept
    programs.end()
    programs.started.clear()
    enrolled.device.check(None)
    assert not first.exists()
    assert list((enrolled.folder / "store/launches").iterdir()) == []
