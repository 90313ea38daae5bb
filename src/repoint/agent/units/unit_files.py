"""The systemd units, as texts; nothing is read or written here.

Two services share the work, because they need different rights. ``repoint-agent.service`` talks
to the network and prepares what came; it has no privilege at all, and is shut in as far as systemd
can. What a vendor's health check does, and what a program needs that is started again, nobody can
know: so activating is left to ``repoint-activate.service``, which talks to nobody and is not shut
in. If it had mounts of its own, nobody else would see what it merges over the system either (see
``repoint.device.strategy.sysext``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

AGENT, TIMER = "repoint-agent.service", "repoint-agent.timer"
ACTIVATE, START = "repoint-activate.service", "repoint-start.service"
PAGE, PAGE_SOCKET = "repoint-page.service", "repoint-page.socket"
TELL, TELL_PATH = "repoint-tell.service", "repoint-tell.path"
WATCH = "repoint-watch.service"
"""Made when it is needed: see `repoint.agent.units.start`."""

NEWS = "news"
"""The store's file that changes whenever there is something to tell; a unit watches it."""

_HOMES = ("/home", "/root", "/run/user")
_SHARED_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  # compared with, not written to


@dataclass(frozen=True)
class Setup:
    """What the units are for.

    Attributes:
        python: The interpreter that Repoint is installed for.
        store: The store.
        grafts: The graft points of what is enrolled.
        user: Whether they are for one account's own systemd, without root.
    """

    python: Path
    store: Path
    grafts: tuple[Path, ...] = ()
    user: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """All places that the services need."""
        return (self.python, self.store, *self.grafts)

    def command(self, *arguments: str) -> str:
        """A command line of Repoint."""
        return " ".join(
            map(quoted, (str(self.python), "-m", *arguments, "--store", str(self.store)))
        )


def quoted(word: str) -> str:
    """A word as systemd reads it back (systemd.syntax(7), systemd.service(5))."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if any(c in word for c in " \t'\"\\;") or not word else word


def unit_files(setup: Setup) -> dict[str, str]:
    """All units of a setup, by name; those for people's desktops are in `desktop_files`."""
    return {
        AGENT: _agent(setup),
        TIMER: _timer(),
        ACTIVATE: _activate(setup),
        START: _start(setup),
        PAGE_SOCKET: _page_socket(setup),
        PAGE: _page(setup),
    }


def desktop_files(setup: Setup) -> dict[str, str]:
    """The units that tell each person who has a session; they run with that person's rights."""
    return {
        TELL_PATH: _text(
            ("Unit", ["Description=News of security improvements"]),
            ("Path", [f"PathChanged={_alone(setup.store / NEWS)}"]),
            ("Install", ["WantedBy=default.target"]),
        ),
        TELL: _text(
            ("Unit", ["Description=Tell of security improvements"]),
            ("Service", ["Type=oneshot", f"ExecStart={setup.command('repoint', 'agent', 'tell')}",
                         *_SECCOMP]),
        ),
    }  # fmt: skip


_SECCOMP = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RestrictRealtime=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@resources",
    # The decoding process shuts itself in further.
    "SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp",
    "SystemCallErrorNumber=EPERM",
)
"""What needs no namespaces, so that it works for one account's own systemd as well."""


def _agent(setup: Setup) -> str:
    arguments = ("repoint", "agent", "run-once", "--if-due", "--hand-over")
    lines = [
        "Type=oneshot",
        f"ExecStart={setup.command(*arguments)}",
        # A limit on bandwidth may make a download take hours.
        "TimeoutStartSec=1d",
        "Nice=10",
        "IOSchedulingClass=idle",
        *_SECCOMP,
    ]
    if not setup.user:
        lines += _shut_in(setup)
    return _text(
        ("Unit", ["Description=Security improvements in the background",
                  "After=network-online.target"]),
        ("Service", lines),
    )  # fmt: skip


def _shut_in(setup: Setup) -> list[str]:
    """What needs namespaces, which one account's own systemd cannot give to everybody."""
    writable = [setup.store, *(graft.parent for graft in setup.grafts)]
    shares_temporary = _any_below(setup.paths, _SHARED_TEMPORARY)
    if shares_temporary:
        writable += map(Path, _SHARED_TEMPORARY)
    return [
        "ProtectSystem=strict",
        # A full update puts a folder in the place of our link, which a round takes over.
        *(f"ReadWritePaths={_listed(path)}" for path in dict.fromkeys(writable)),
        f"ProtectHome={'read-only' if _any_below(setup.paths, _HOMES) else 'yes'}",
        f"PrivateTmp={'no' if shares_temporary else 'yes'}",
        "PrivateDevices=yes",
        "PrivateMounts=yes",
        "ProtectClock=yes",
        "ProtectControlGroups=yes",
        "ProtectHostname=yes",
        "ProtectKernelLogs=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "ProcSubset=pid",
        "ProtectProc=invisible",
        "RestrictNamespaces=yes",
        "KeyringMode=private",
        "UMask=0022",
        # The store is root's own; to prepare, no more is needed. No RestrictSUIDSGID: a component
        # may hold set-user-ID programs.
        "CapabilityBoundingSet=",
    ]


def _timer() -> str:
    return _text(
        ("Unit", ["Description=Security improvements in the background, once an hour"]),
        ("Timer", ["OnCalendar=hourly", "OnBootSec=5min",
                   # Each device of a fleet has its own minute.
                   "RandomizedDelaySec=55min", "FixedRandomDelay=yes", "Persistent=yes"]),
        ("Install", ["WantedBy=timers.target"]),
    )  # fmt: skip


def _activate(setup: Setup) -> str:
    return _text(
        ("Unit", ["Description=Bring security improvements into force"]),
        ("Service", [
            "Type=oneshot",
            f"ExecStart={setup.command('repoint', 'agent', 'activate', '--due')}",
            # Cut off between the switch and the health check, it makes up for that at once.
            "Restart=on-abnormal", "RestartSec=10s", "TimeoutStartSec=30min", "KillMode=process",
        ]),
    )  # fmt: skip


def _start(setup: Setup) -> str:
    start = "session" if setup.user else "machine"
    lines = [
        f"Description=Bring security improvements into force at the start of the {start}",
        "DefaultDependencies=no",
        # Something waits, is on trial, or has to be merged over the system anew after each start.
        f"ConditionPathExistsGlob=|{_alone(setup.store)}/products/*/staged",
        f"ConditionPathExistsGlob=|{_alone(setup.store)}/products/*/trial.json",
        f"ConditionPathExistsGlob=|{_alone(setup.store)}/products/*/extensions/*",
        f"ConditionPathExistsGlob=|{_alone(setup.store)}/products/*/images/*",
        *(f"RequiresMountsFor={_listed(path)}" for path in (setup.store, *setup.grafts)),
    ]
    if not setup.user:
        lines += ["After=sysinit.target", "Conflicts=shutdown.target", "Before=shutdown.target"]
    lines.append("Before=basic.target")
    return _text(
        ("Unit", lines),
        ("Service", [
            "Type=oneshot",
            f"ExecStart={setup.command('repoint', 'agent', 'activate')}",
            # Whatever a health check does, the start goes on.
            "TimeoutStartSec=3min", "KillMode=process",
        ]),
        ("Install", ["WantedBy=basic.target"]),
    )  # fmt: skip


def _page_socket(setup: Setup) -> str:
    return _text(
        ("Unit", ["Description=Settings page for security improvements"]),
        ("Socket", [f"ListenStream={_alone(setup.store / 'page.sock')}",
                    f"SocketMode={'0600' if setup.user else '0666'}"]),
        ("Install", ["WantedBy=sockets.target"]),
    )  # fmt: skip


def _page(setup: Setup) -> str:
    return _text(
        ("Unit", ["Description=Settings page for security improvements"]),
        ("Service", [
            f"ExecStart={setup.command('repoint.page')}",
            # What a restart has started again outlives the page.
            "KillMode=process",
        ]),
    )  # fmt: skip


def _text(*sections: tuple[str, Sequence[str]]) -> str:
    return "\n".join(
        f"[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections
    )


def _listed(path: Path) -> str:
    """A path where systemd reads a list of them; only commands know variables."""
    return quoted(str(path)).replace("$$", "$")


def _alone(path: Path) -> str:
    """A path where systemd reads a single one, up to the end of the line."""
    return str(path).replace("%", "%%")


def _any_below(paths: Sequence[Path], folders: Sequence[str]) -> bool:
    return any(path.is_relative_to(folder) for path in paths for folder in folders)
