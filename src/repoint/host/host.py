"""This machine as one value that callers hand in.

Every effect on, and every observation of, the machine outside the store goes through a part of
`Host`. A test hands in a host whose parts are played; nothing is patched.
"""

from __future__ import annotations

import msgspec

from repoint.host.base_system import BaseSystem
from repoint.host.conditions import ConditionReader
from repoint.host.dbus import system_bus
from repoint.host.kernel.boot import Boot
from repoint.host.kernel.dm_verity import DmVerity
from repoint.host.kernel.mounts import Mounts
from repoint.host.kernel.processes import Processes
from repoint.host.programs import Programs
from repoint.host.systemd.journal import Journal
from repoint.host.systemd.logind import Logind
from repoint.host.systemd.services import Systemd
from repoint.host.systemd.sysext import SystemExtensions


class Host(msgspec.Struct, frozen=True):
    """A machine.

    Attributes:
        processes: The running processes.
        boot: The current boot.
        mounts: The mount table.
        systemd: Services and units.
        sysext: System extensions, which are merged over /usr and /opt.
        base: The files of the system below everything that is merged.
        verity: The images that the kernel verifies block by block.
        logind: Restarts of the machine and ends of sessions.
        conditions: The network, the battery and the disk.
        journal: The system journal.
        programs: Programs that outlive Repoint.
    """

    processes: Processes
    boot: Boot
    mounts: Mounts
    systemd: Systemd
    sysext: SystemExtensions
    base: BaseSystem
    verity: DmVerity
    logind: Logind
    conditions: ConditionReader
    journal: Journal
    programs: Programs

    @classmethod
    def local(cls) -> Host:
        """Return this machine."""
        boot, sysext = Boot(), SystemExtensions()
        systemd = Systemd(monotonic=boot.uptime)
        return cls(
            Processes(),
            boot,
            Mounts(),
            systemd,
            sysext,
            BaseSystem(sysext),
            DmVerity(),
            Logind(system_bus()),
            ConditionReader(),
            Journal(),
            Programs(systemd),
        )
