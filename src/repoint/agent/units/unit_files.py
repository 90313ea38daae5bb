"""The systemd units, as text. This module neither reads nor writes files.

Two services share the work, because they need different rights. ``repoint-agent.service`` uses the
network and prepares downloads; it has no privileges and is hardened as far as systemd can. A
vendor's health check, and a program that is started again, may need anything: so
``repoint-activate.service`` activates and is not hardened. From the network, it takes nothing but
the answer whether what is staged is still offered. With private mounts, it could also not merge
layers for the whole system (see ``repoint.device.strategy.sysext``).
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
"""A transient unit: see `repoint.agent.units.start`."""

NEWS = "news"
"""The file of the store that changes with each new notification; a unit watches it."""

_HOMES = ("/home", "/root", "/run/user")
_SHARED_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  # compared with, not written to


@dataclass(frozen=True)
class Setup:
    """What the units need to know about the device.

    Attributes:
        python: The interpreter that runs Repoint.
        store: The store.
        grafts: The graft points of the enrolled products.
        user: Whether the units are for the user manager of one account, without root.
        isolation: The interpreter's options; see `repoint.host.interpreter`.
    """

    python: Path
    store: Path
    grafts: tuple[Path, ...] = ()
    user: bool = False
    isolation: tuple[str, ...] = ("-I", "-X", "utf8")

    @property
    def paths(self) -> tuple[Path, ...]:
        """All paths that the services need."""
        return (self.python, self.store, *self.grafts)

    def command(self, *arguments: str) -> str:
        """Return a command line of Repoint for a unit file."""
        words = (*self.isolation, "-m", *arguments, "--store", str(self.store))
        return " ".join(map(quoted, (str(self.python), *words)))


def quoted(word: str) -> str:
    """Quote a word for systemd (systemd.syntax(7), systemd.service(5))."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if any(c in word for c in " \t'\"\\;") or not word else word


def unit_files(setup: Setup) -> dict[str, str]:
    """Return all units of a setup by name; those for desktops are in `desktop_files`."""
    return {
        AGENT: _agent(setup),
        TIMER: _timer(),
        ACTIVATE: _activate(setup),
        START: _start(setup),
        PAGE_SOCKET: _page_socket(setup),
        PAGE: _page(setup),
    }


def desktop_files(setup: Setup) -> dict[str, str]:
    """Return the units that notify each logged-in user, with that user's rights."""
    return {
        TELL_PATH: _text(
            ("Unit", ["Description=Watch for news about security improvements"]),
            ("Path", [f"PathChanged={_single(setup.store / NEWS)}"]),
            ("Install", ["WantedBy=default.target"]),
        ),
        TELL: _text(
            ("Unit", ["Description=Show notifications about security improvements"]),
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
    # The decoding process restricts itself further.
    "SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp",
    "SystemCallErrorNumber=EPERM",
)
"""Hardening without namespaces, which also works for the user manager of an account."""


def _agent(setup: Setup) -> str:
    arguments = ("repoint", "agent", "run-once", "--if-due", "--hand-over")
    lines = [
        "Type=oneshot",
        f"ExecStart={setup.command(*arguments)}",
        # With a bandwidth limit, a download may take hours.
        "TimeoutStartSec=1d",
        "Nice=10",
        "IOSchedulingClass=idle",
        *_SECCOMP,
    ]
    if not setup.user:
        lines += _hardening(setup)
    return _text(
        ("Unit", ["Description=Check for and stage security improvements",
                  "After=network-online.target"]),
        ("Service", lines),
    )  # fmt: skip


def _hardening(setup: Setup) -> list[str]:
    """Return hardening with namespaces, which a user manager cannot always create."""
    writable = [setup.store, *(graft.parent for graft in setup.grafts)]
    shares_temporary = _any_below(setup.paths, _SHARED_TEMPORARY)
    if shares_temporary:
        writable += map(Path, _SHARED_TEMPORARY)
    return [
        "ProtectSystem=strict",
        # A full update may replace the link with a folder; an update run takes it over.
        *(f"ReadWritePaths={_list_item(path)}" for path in dict.fromkeys(writable)),
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
        # Root owns the store, so that staging needs no capability. RestrictSUIDSGID is not set,
        # because a component may contain set-user-ID programs.
        "CapabilityBoundingSet=",
    ]


def _timer() -> str:
    return _text(
        ("Unit", ["Description=Check for security improvements hourly"]),
        ("Timer", ["OnCalendar=hourly", "OnBootSec=5min",
                   # Each device of a fleet gets a minute of its own.
                   "RandomizedDelaySec=55min", "FixedRandomDelay=yes", "Persistent=yes"]),
        ("Install", ["WantedBy=timers.target"]),
    )  # fmt: skip


def _activate(setup: Setup) -> str:
    return _text(
        ("Unit", ["Description=Activate security improvements"]),
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
        f"Description=Activate security improvements at the start of the {start}",
        "DefaultDependencies=no",
        # Run only if something is staged, on trial, or must be merged after each start.
        f"ConditionPathExistsGlob=|{_single(setup.store)}/products/*/staged",
        f"ConditionPathExistsGlob=|{_single(setup.store)}/products/*/trial.json",
        f"ConditionPathExistsGlob=|{_single(setup.store)}/products/*/extensions/*",
        f"ConditionPathExistsGlob=|{_single(setup.store)}/products/*/images/*",
        *(f"RequiresMountsFor={_list_item(path)}" for path in (setup.store, *setup.grafts)),
    ]
    if not setup.user:
        lines += ["After=sysinit.target", "Conflicts=shutdown.target", "Before=shutdown.target"]
    lines.append("Before=basic.target")
    return _text(
        ("Unit", lines),
        ("Service", [
            "Type=oneshot",
            f"ExecStart={setup.command('repoint', 'agent', 'activate')}",
            # Whatever a health check does, the start continues.
            "TimeoutStartSec=3min", "KillMode=process",
        ]),
        ("Install", ["WantedBy=basic.target"]),
    )  # fmt: skip


def _page_socket(setup: Setup) -> str:
    return _text(
        ("Unit", ["Description=Settings page for security improvements"]),
        ("Socket", [f"ListenStream={_single(setup.store / 'page.sock')}",
                    f"SocketMode={'0600' if setup.user else '0666'}"]),
        ("Install", ["WantedBy=sockets.target"]),
    )  # fmt: skip


def _page(setup: Setup) -> str:
    return _text(
        ("Unit", ["Description=Settings page for security improvements"]),
        ("Service", [
            f"ExecStart={setup.command('repoint.page')}",
            # Programs that a restart has started again outlive the page.
            "KillMode=process",
        ]),
    )  # fmt: skip


def _text(*sections: tuple[str, Sequence[str]]) -> str:
    return "\n".join(
        f"[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections
    )


def _list_item(path: Path) -> str:
    """Quote a path for a setting that takes a list. Only commands expand variables."""
    return quoted(str(path)).replace("$$", "$")


def _single(path: Path) -> str:
    """Escape a path for a setting that takes a single path to the end of the line."""
    return str(path).replace("%", "%%")


def _any_below(paths: Sequence[Path], folders: Sequence[str]) -> bool:
    return any(path.is_relative_to(folder) for path in paths for folder in folders)
