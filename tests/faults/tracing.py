"""Run an action in a child that stops at each call that changes or syncs the file system.

The child installs a seccomp filter that passes those calls to us before the kernel handles them
(seccomp_unotify(2)); the processes that it starts inherit the filter. For each call we decide: let it
happen, let it fail, let it do half of its work, or kill everything at this point. Other calls run at
full speed; a tracer would stop at each of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from repoint.model.errors import RepointError
from tests.faults.syscalls import FICLONE, SYSCALLS, Syscall

BY_NUMBER = {call.number: call for call in SYSCALLS}

# linux/seccomp.h, linux/audit.h, linux/prctl.h
_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER = 317, 1, 1 << 3
_USER_NOTIF, _ALLOW = 0x7FC00000, 0x7FFF0000
_NOTIF_RECV, _NOTIF_SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_X86_64 = 0xC000003E
_NO_NEW_PRIVS = 38
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_NOTIF = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_LIBC = ctypes.CDLL(None, use_errno=True)


class Call(NamedTuple):
    """A call that is about to happen.

    Attributes:
        number: The number of the call among those that touch the watched folder, from 1.
        what: The call.
        path: The changed path, relative to the watched folder; empty if unknown.
        inode: The inode of the open file that it names, 0 if it names a path.
        main: Whether the traced process itself makes the call, not one of its children.
        size: The number of bytes to write, if it writes.
    """

    number: int
    what: Syscall
    path: str
    inode: int
    main: bool
    size: int

    def __str__(self) -> str:
        return f"{self.what.name} {self.path}".strip()


Decision = int | Literal["go", "kill", "half", "half and kill"]
"""What becomes of a call: an int is the error number that it fails with."""
Decide = Callable[[Call], Decision]


class End(msgspec.Struct):
    """How the action ended: done, refused with an error for people, killed or crashed."""

    how: Literal["done", "refused", "killed", "crashed"]
    kind: str = ""
    message: str = ""
    hint: str = ""


@dataclass
class Trace:
    """The calls and the end of a traced action."""

    end: End
    calls: list[Call] = field(default_factory=list)


def run_traced(
    action: Callable[[], object],
    watched: Path,
    decide: Decide,
    expected_errors: tuple[type[Exception], ...] = (RepointError,),
) -> Trace:
    """Run an action in a child.

    Args:
        action: The action.
        watched: Only calls that touch paths below this folder are passed to ``decide``.
        decide: Returns the decision for each call.
        expected_errors: Errors that people see as one line; they are ordinary ends.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _child(action, theirs, expected_errors)
    theirs.close()
    with contextlib.closing(ours):
        _, descriptors, *_ = socket.recv_fds(ours, 1, 1)
        supervisor = _Supervisor(descriptors[0], pid, f"{watched}/", decide)
        try:
            supervisor.run()
        finally:
            os.close(descriptors[0])
        flags = socket.MSG_DONTWAIT | socket.MSG_PEEK
        answer = ours.recv(1 << 16, flags) if _readable(ours) else b""
    _, status = os.waitpid(pid, 0)
    if supervisor.killed:
        return Trace(End("killed"), supervisor.calls)
    if not answer:
        return Trace(End("crashed", message=f"wait status {status}"), supervisor.calls)
    return Trace(msgspec.json.decode(answer, type=End), supervisor.calls)


def run_alone(
    action: Callable[[], object], expected_errors: tuple[type[Exception], ...] = (RepointError,)
) -> End:
    """Run an action undisturbed in a child."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        end = End("crashed", message="it did not come back")
        try:
            end = _tell(action, expected_errors)
        except BaseException:
            end = End("crashed", message=traceback.format_exc()[-4000:])
        finally:
            theirs.send(msgspec.json.encode(end))
            os._exit(0)
    theirs.close()
    with contextlib.closing(ours):
        answer = ours.recv(1 << 16)
    os.waitpid(pid, 0)
    return msgspec.json.decode(answer, type=End) if answer else End("crashed")


def _readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


def _child(
    action: Callable[[], object],
    connection: socket.socket,
    expected_errors: tuple[type[Exception], ...],
) -> None:
    end = End("crashed", message="it did not come back")
    try:
        listener = _install_filter()
        socket.send_fds(connection, [b"x"], [listener])
        os.close(listener)
        end = _tell(action, expected_errors)
    except BaseException:
        end = End("crashed", message=traceback.format_exc()[-4000:])
    finally:
        connection.send(msgspec.json.encode(end))
        os._exit(0)


def _tell(action: Callable[[], object], expected_errors: tuple[type[Exception], ...]) -> End:
    try:
        action()
    except expected_errors as error:
        if isinstance(error, RepointError):
            return End("refused", type(error).__name__, error.message, error.hint)
        return End("refused", type(error).__name__, str(error))
    return End("done")


def _install_filter() -> int:
    code = _program()

    class Program(ctypes.Structure):
        _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    _LIBC.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    program = Program(len(code) // 8, code)
    listener = _LIBC.syscall(_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(program))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp with a listener")
    return int(listener)


def _program() -> bytes:
    def step(operation: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("<HBBI", operation, then, otherwise, value)

    load, equal, any_bit, give = 0x20, 0x15, 0x45, 0x06
    code = [step(load, 4), step(equal, _X86_64, 1), step(give, _ALLOW), step(load, 0)]

    def when(number: int, argument: int, test: int, value: int) -> list[bytes]:
        return [
            step(equal, number, 0, 4),
            step(load, 16 + 8 * argument),
            step(test, value, 0, 1),
            step(give, _USER_NOTIF),
            step(give, _ALLOW),
        ]

    for call in SYSCALLS:
        if call.name in ("open", "openat"):
            code += when(call.number, 1 if call.name == "open" else 2, any_bit, _WRITING)
        elif call.name == "ioctl":
            code += when(call.number, 1, equal, FICLONE)
        else:
            code += [step(equal, call.number, 0, 1), step(give, _USER_NOTIF)]
    return b"".join([*code, step(give, _ALLOW)])


class _Supervisor:
    """Decides the calls of a child and of all its descendants, until all of them have ended."""

    def __init__(self, listener: int, pid: int, watched: str, decide: Decide) -> None:
        self.calls: list[Call] = []
        self.killed = False
        self._listener = listener
        self._pid = pid
        self._watched = watched
        self._decide = decide
        self._seen = {pid}

    def run(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for _, event in poll.poll(1000):
                if event & select.POLLIN:
                    self._answer()
                elif event & (select.POLLHUP | select.POLLERR):
                    return
        self._end_all()
        raise TimeoutError("a traced process did not end within two minutes")

    def _answer(self) -> None:
        request = bytearray(_NOTIF.size)
        try:
            fcntl.ioctl(self._listener, _NOTIF_RECV, request)
        except OSError:
            return  # the process was killed in the meantime
        ident, pid, _, number, _, _, *arguments = _NOTIF.unpack(request)
        self._seen.add(pid)
        value, error, flags = 0, 0, _CONTINUE
        try:
            call = self._call(pid, BY_NUMBER[number], arguments)
            if call is not None and not self.killed:
                self.calls.append(call)
                decision = self._decide(call)
                if decision in ("half", "half and kill"):
                    value, flags = self._write_half(pid, call, arguments), 0
                if decision in ("kill", "half and kill"):
                    self._end_all()
                    return
                if isinstance(decision, int):
                    error, flags = -decision, 0
        except ProcessLookupError:
            return
        response = _RESPONSE.pack(ident, value, error, flags)
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._listener, _NOTIF_SEND, response)

    def _end_all(self) -> None:
        self.killed = True
        for pid in self._seen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _call(self, pid: int, what: Syscall, arguments: list[int]) -> Call | None:
        """Return the call if it touches the watched folder."""
        try:
            inode = 0
            if what.file is not None:
                path = os.readlink(f"/proc/{pid}/fd/{arguments[what.file]}")
                if path.startswith(self._watched) or f"{path}/" == self._watched:
                    inode = Path(f"/proc/{pid}/fd/{arguments[what.file]}").stat().st_ino
            elif what.paths:
                found = [_path(pid, where, arguments) for where in what.paths]
                path = next((p for p in found if p.startswith(self._watched)), found[0])
            else:
                path = self._watched
        except FileNotFoundError:
            return None  # no such descriptor: the kernel reports the error
        if not f"{path}/".startswith(self._watched):
            return None
        size = min(arguments[2], 1 << 40) if what.writes else 0
        inside = path[len(self._watched) :]
        return Call(len(self.calls) + 1, what, inside, inode, pid == self._pid, size)

    def _write_half(self, pid: int, call: Call, arguments: list[int]) -> int:
        """Write the first half on behalf of the process, through its own file descriptor."""
        size = max(1, call.size // 2)
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(arguments[1])
            data = memory.read(size)
        process = os.pidfd_open(pid)
        file = _LIBC.syscall(438, process, ctypes.c_long(arguments[0]), 0)  # pidfd_getfd
        try:
            if call.what.name == "pwrite64":
                return os.pwrite(file, data, arguments[3])
            return os.write(file, data)
        finally:
            os.close(file)
            os.close(process)


def _path(pid: int, where: tuple[int | None, int], arguments: list[int]) -> str:
    folder, place = where
    # Without a path, the call refers to the open file itself.
    named = _string(pid, arguments[place]) if arguments[place] else ""
    if named.startswith("/"):
        return os.path.normpath(named)
    number = None if folder is None else ctypes.c_int(arguments[folder] & 0xFFFFFFFF).value
    at = f"/proc/{pid}/cwd" if number in (None, -100) else f"/proc/{pid}/fd/{number}"
    return os.path.normpath(f"{os.readlink(at)}/{named}")


def _string(pid: int, address: int) -> str:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        found = b""
        while b"\0" not in found and len(found) < 4096:
            # A string may end just before unmapped memory.
            memory.seek(address + len(found))
            found += memory.read(4096 - (address + len(found)) % 4096)
        return os.fsdecode(found.partition(b"\0")[0])
