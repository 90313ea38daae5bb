"""Probes, confined by the functions that confine the decoder."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from repoint.delta.sandbox import seccomp
from repoint.delta.sandbox.process import describe_exit

SOURCE = str(Path(seccomp.__file__).parents[3])

PROBE = """
import ctypes, json, mmap, os, signal, socket, sys, threading
sys.path.insert(0, {source!r})
from repoint.delta.sandbox import landlock, seccomp
from repoint.delta.sandbox.confinement import ResourceLimits, confine, set_limits
from repoint.delta.sandbox.kernel import prctl
os.chdir({folder!r})
kept = os.open("kept", os.O_RDWR | os.O_CREAT, 0o600)
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen()
port = listener.getsockname()[1]
prctl(38, 1)
LIMITS = ResourceLimits(memory=64 << 20, file=1000, seconds=20, files=64)
{layer}
def connect():
    with socket.socket() as s:
        s.connect(("127.0.0.1", port))
def fork():
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
def thread():
    done = []
    t = threading.Thread(target=lambda: done.append(1)); t.start(); t.join()
    assert done
TRIES = {{
    "use an open file": lambda: os.write(kept, b"x"),
    "start a thread": thread,
    "compute": lambda: sum(range(1000)),
    "read a file": lambda: os.open("/etc/passwd", os.O_RDONLY),
    "list a folder": lambda: os.listdir("/"),
    "write a file": lambda: os.open("new", os.O_WRONLY | os.O_CREAT),
    "remove a file": lambda: os.unlink("victim"),
    "make a folder": lambda: os.mkdir("folder"),
    "link": lambda: os.symlink("kept", "link"),
    "connect": connect,
    "make a socket": lambda: socket.socket().close(),
    "run a program": lambda: os.execv("/bin/true", ["true"]),
    "fork": fork,
    "signal the parent": lambda: os.kill(os.getppid(), 0),
    "make memory executable": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "trace": lambda: ptrace(),
    "change its owner": lambda: os.setgid(12345),
    "take a lot of memory": lambda: bytearray(200 << 20),
    "open many files": lambda: [os.dup(kept) for _ in range(100)],
    "write a large file": lambda: os.pwrite(kept, b"x", 2000),
}}
def ptrace():
    if ctypes.CDLL(None, use_errno=True).ptrace(0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "")
result = {{}}
for name in sys.argv[1:]:
    try:
        TRIES[name]()
        result[name] = "done"
    except (OSError, MemoryError) as error:
        result[name] = type(error).__name__
os.write(1, json.dumps(result).encode())
os._exit(0)
"""
LAYERS = {
    "nothing": "",
    "all": "assert confine(LIMITS)",
    "landlock": "landlock.restrict()",
    "seccomp": "seccomp.restrict()",
    "limits": "set_limits(LIMITS)",
}


def probe(folder: Path, layer: str, *tries: str) -> dict[str, bool]:
    """Return which of the tries succeed in a process confined by this layer."""
    (folder / "victim").write_bytes(b"")
    code = PROBE.format(source=SOURCE, folder=str(folder), layer=LAYERS[layer])
    run = subprocess.run(
        [sys.executable, "-I", "-c", code, *tries], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    results = eval(run.stdout)
    assert list(results) == list(tries)
    return {name: result == "done" for name, result in results.items()}


def offered(layer: str) -> bool:
    code = (
        f"from repoint.delta.sandbox import {layer}; from repoint.delta.sandbox.kernel import prctl"
    )
    code = f"import sys; sys.path.insert(0, {SOURCE!r}); {code}; prctl(38, 1)"
    code += f"\nsys.exit(0 if {layer}.restrict() else 1)"
    return subprocess.run([sys.executable, "-I", "-c", code]).returncode == 0


FILES = ("read a file", "write a file", "list a folder", "remove a file", "make a folder", "link")
OTHERS = ("make a socket", "fork", "make memory executable", "signal the parent", "run a program")
RESOURCES = ("take a lot of memory", "open many files", "write a large file")
WORK = ("use an open file", "start a thread", "compute")


def test_everything_that_the_probes_try_succeeds_without_confinement(tmp_path: Path) -> None:
    # "run a program" would replace the probe.
    tries = [*WORK, *FILES, "connect", *OTHERS[:-1], "trace", *RESOURCES]
    assert probe(tmp_path, "nothing", *tries) == dict.fromkeys(tries, True)


def test_a_confined_process_can_work_on_open_files_and_nothing_else(tmp_path: Path) -> None:
    if not (offered("landlock") and offered("seccomp")):
        pytest.skip("needs Landlock and seccomp")
    tries = [*FILES, "connect", *OTHERS, "trace", *RESOURCES]
    assert probe(tmp_path, "all", *WORK, *tries) == (
        dict.fromkeys(WORK, True) | dict.fromkeys(tries, False)
    )
    assert (tmp_path / "victim").exists()
    assert not (tmp_path / "new").exists()


def test_landlock_alone_forbids_files_and_connections(tmp_path: Path) -> None:
    if not offered("landlock"):
        pytest.skip("needs Landlock")
    assert probe(tmp_path, "landlock", *WORK, *FILES) == (
        dict.fromkeys(WORK, True) | dict.fromkeys(FILES, False)
    )


def test_seccomp_alone_forbids_files_network_and_processes(tmp_path: Path) -> None:
    if not offered("seccomp"):
        pytest.skip("needs seccomp")
    tries = [*FILES, "connect", *OTHERS, "trace"]
    assert probe(tmp_path, "seccomp", *WORK, *tries) == (
        dict.fromkeys(WORK, True) | dict.fromkeys(tries, False)
    )


def test_limits_alone_bound_memory_files_and_their_size(tmp_path: Path) -> None:
    assert probe(tmp_path, "limits", *WORK, *RESOURCES) == (
        dict.fromkeys(WORK, True) | dict.fromkeys(RESOURCES, False)
    )


@pytest.mark.skipif(os.getuid() != 0, reason="needs privileges to lose")
def test_a_privileged_process_loses_its_privileges(tmp_path: Path) -> None:
    code = f"import os, sys; sys.path.insert(0, {SOURCE!r})" + textwrap.dedent(
        """
        from repoint.delta.sandbox.confinement import ResourceLimits, confine
        status = os.open("/proc/self/status", os.O_RDONLY)
        print(confine(ResourceLimits(1 << 26, 1000, 20, 64)).unprivileged)
        print(os.read(status, 10000).decode(), flush=True)
        os._exit(0)
        """
    )
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert run.stdout.startswith("True\n"), run.stderr
    fields = dict(line.split(":\t") for line in run.stdout.splitlines() if ":\t" in line)
    for name in ("CapPrm", "CapEff", "CapInh", "CapAmb", "CapBnd"):
        assert int(fields[name], 16) == 0, name
    assert fields["NoNewPrivs"] == "1"


def test_a_process_dies_with_the_one_that_started_it(tmp_path: Path) -> None:
    inner = f"""
        import os, sys, time
        sys.path.insert(0, {SOURCE!r})
        from repoint.delta.sandbox.confinement import die_with_parent
        die_with_parent(int(sys.argv[1]))
        print(os.getpid(), flush=True)
        time.sleep(60)
    """
    outer = "import os, subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1], "
    outer += "str(os.getpid())])"
    with subprocess.Popen(
        [sys.executable, "-c", outer, textwrap.dedent(inner)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert running(pid)
        parent.kill()
    deadline = time.monotonic() + 10
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not running(pid)


def test_a_process_whose_parent_has_already_ended_does_not_start() -> None:
    code = f"import sys; sys.path.insert(0, {SOURCE!r});"
    code += (
        "from repoint.delta.sandbox.confinement import die_with_parent; die_with_parent(1234567)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_the_filter_allows_listed_calls_and_kills_other_architectures(arch: str) -> None:
    code = seccomp.program(arch, 77)
    column = ["x86_64", "aarch64"].index(arch)
    mine, other = seccomp._AUDIT_ARCH[arch], 0x40000003
    allow, deny = 0x7FFF0000, 0x00050001

    assert evaluate(code, other, 0) == 0x80000000
    for numbers in seccomp._ALLOWED.values():
        assert evaluate(code, mine, numbers[column]) == allow
    listed = {numbers[column] for numbers in seccomp._ALLOWED.values()}
    assert len(listed) == len(seccomp._ALLOWED)
    assert evaluate(code, mine, 0x40000000) == deny
    for numbers, arguments, expected in [
        (seccomp._MMAP, (0, 1, 3), allow),
        (seccomp._MMAP, (0, 1, 7), deny),
        (seccomp._MPROTECT, (0, 1, 4), deny),
        (seccomp._CLONE, (0x3D0F00,), allow),
        (seccomp._CLONE, (17,), deny),
        (seccomp._CLONE3, (), 0x00050026),
        (seccomp._TGKILL, (77, 78), allow),
        (seccomp._TGKILL, (1, 1), deny),
        (seccomp._FCNTL, (3, 1030), allow),
        (seccomp._FCNTL, (3, 8), deny),
    ]:
        assert evaluate(code, mine, numbers[column], *arguments) == expected


def evaluate(code: bytes, arch: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel does."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *padded)
    steps = list(struct.iter_unpack("<HBBI", code))
    at, value = 0, 0
    while True:
        operation, then, otherwise, operand = steps[at]
        at += 1
        if operation == 0x06:
            return int(operand)
        if operation == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
        elif operation == 0x15:
            at += then if value == operand else otherwise
        else:
            assert operation == 0x45
            at += then if value & operand else otherwise


def test_the_exit_of_a_process_is_described() -> None:
    assert describe_exit(-9) == "it was killed, perhaps because memory ran out (SIGKILL)"
    assert describe_exit(-24) == "it took too long (SIGXCPU)"
    assert describe_exit(-11) == "its process crashed (SIGSEGV)"
    assert describe_exit(1) == "its process ended with status 1"


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
