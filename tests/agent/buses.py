"""A private D-Bus with services that answer as the real ones do, in processes of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

needs_bus = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="there is no D-Bus here")

_SERVICE = r"""
import json, sys
from jeepney import MessageType, new_error, new_method_return
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

address, name, answers, log = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
def plain(value):
    return [plain(v) for v in value] if isinstance(value, (tuple, list)) else value
def tuples(value):
    return tuple(tuples(v) for v in value) if isinstance(value, list) else value
with open_dbus_connection(address) as connection:
    connection.send_and_get_reply(message_bus.RequestName(name))
    print('ready', flush=True)
    while True:
        message = connection.receive()
        if message.header.message_type != MessageType.method_call:
            continue
        fields = {key.name: value for key, value in message.header.fields.items()}
        member = fields['member']
        if member == 'Get':
            member = message.body[1]
        with open(log, 'a') as file:
            file.write(json.dumps([member, plain(message.body)], default=str) + '\n')
        if member not in answers:
            connection.send(new_error(message, 'org.example.No', 's', ('no such thing',)))
            continue
        signature, body = answers[member]
        if signature.startswith('!'):
            connection.send(new_error(message, signature[1:], 's', tuple(body)))
            continue
        if signature == 'v':
            kind, value = body
            body = [(kind, tuples(value))]
        elif signature.startswith('a('):
            body = [[tuples(v) for v in body[0]]]
        connection.send(new_method_return(message, signature or None, tuple(body)))
"""


@dataclass
class Bus:
    """A bus of its own."""

    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        daemon = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", f"--address={self.address}",
             "--print-address=1"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.processes.append(daemon)
        assert daemon.stdout is not None
        assert daemon.stdout.readline()

    @property
    def socket(self) -> Path:
        return self.folder / "bus"

    @property
    def address(self) -> str:
        return f"unix:path={self.socket}"

    @property
    def calls(self) -> list[tuple[str, list[Any]]]:
        """The methods that were called, in order. Reads of a property are left out."""
        log = self.folder / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        calls = [(member, body) for member, body in map(json.loads, lines)]
        return [(member, body) for member, body in calls if body[-1:] != [member]]

    def play(self, name: str, answers: dict[str, tuple[str, list[Any]]]) -> None:
        """Start a service on the bus. For each method, `answers` has the signature and the reply."""
        service = subprocess.Popen(
            [sys.executable, "-c", _SERVICE, self.address, name, json.dumps(answers),
             str(self.folder / "calls")],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.processes.append(service)
        assert service.stdout is not None
        assert service.stdout.readline() == "ready\n"

    def play_network_manager(self, metered: int) -> None:
        self.play("org.freedesktop.NetworkManager", {"Metered": ("v", ["u", metered])})

    def play_desktop(self) -> None:
        self.play("org.freedesktop.Notifications", {"Notify": ("u", [7])})

    def play_logind(self, inhibitors: list[list[Any]] | None = None, scheduled: int = 0) -> None:
        self.play(
            "org.freedesktop.login1",
            {
                "ListInhibitors": ("a(ssssuu)", [inhibitors or []]),
                "SetWallMessage": ("", []),
                "ScheduleShutdown": ("", []),
                "CancelScheduledShutdown": ("b", [True]),
                "ScheduledShutdown": ("v", ["(st)", ["reboot" if scheduled else "", scheduled]]),
                "GetSessionByPID": ("o", ["/org/freedesktop/login1/session/_31"]),
                "Terminate": ("", []),
            },
        )

    def close(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
