"""The condition of the device: its connection, its battery and its disk."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

_COSTLY = ("wwan", "bluetooth")
"""Kinds of interfaces (``DEVTYPE`` in sysfs) that use a mobile phone's network."""

# org.freedesktop.NetworkManager, NMMetered: yes, and guessed yes.
_METERED = (1, 3)
_UNKNOWN = 0


class Conditions(msgspec.Struct, frozen=True):
    """The condition of the device.

    Attributes:
        metered: True if downloads may cost money.
        battery: Percent; None if there is no battery.
        charging: True if the device has external power.
        free: Bytes free on the store's file system.
    """

    metered: bool = False
    battery: int | None = None
    charging: bool = True
    free: int = 1 << 62

    def battery_is_below(self, percent: int) -> bool:
        """Return whether the battery is low and does not charge."""
        return self.battery is not None and self.battery < percent and not self.charging


class ConditionReader:
    """Reads the condition of a machine.

    Args:
        root: The folder that holds ``sys``, ``proc`` and ``run``.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def read(self, store: Path) -> Conditions:
        """Read all conditions, with the free space of a store's file system."""
        battery, charging = self.battery()
        return Conditions(self.is_metered(), battery, charging, free_space(store))

    def battery(self) -> tuple[int | None, bool]:
        """Return the level of the emptiest battery of the device, and whether it has power.

        The kernel's ``sysfs-class-power`` documents the files. A mouse's battery has the scope
        ``Device``.
        """
        levels = []
        charging = False
        for supply in sorted((self._root / "sys/class/power_supply").glob("*")):
            kind, scope = _read(supply / "type"), _read(supply / "scope")
            if scope == "Device":
                continue
            if kind != "Battery":
                charging = charging or _read(supply / "online") == "1"
            elif _read(supply / "present") != "0":
                with contextlib.suppress(ValueError):
                    levels.append(int(_read(supply / "capacity")))
                charging = charging or _read(supply / "status") in ("Charging", "Full")
        return min(levels, default=None), charging or not levels

    def is_metered(self) -> bool:
        """Return whether the connection is metered.

        NetworkManager knows it from the person's settings or from what the network announces. If
        it does not run or does not know, a connection over a mobile phone's network counts as
        metered.
        """
        answer = self._network_manager()
        if answer == _UNKNOWN:
            return any(self._is_costly(name) for name in self._default_interfaces())
        return answer in _METERED

    def _network_manager(self) -> int:
        from repoint.host.dbus import Bus, BusError, BusObject

        socket = self._root / "run/dbus/system_bus_socket"
        if not socket.exists():
            return _UNKNOWN
        name = "org.freedesktop.NetworkManager"
        manager = BusObject(name, "/org/freedesktop/NetworkManager", name)
        try:
            answer = Bus(f"unix:path={socket}").get_property(manager, "Metered")
        except BusError:
            return _UNKNOWN
        return answer if isinstance(answer, int) else _UNKNOWN

    def _default_interfaces(self) -> set[str]:
        """The interfaces that have a default route (proc(5), ``/proc/net/route``).

        ``/proc/net`` itself may be hidden from a service (``ProcSubset=``).
        """
        net = self._root / "proc/self/net"
        interfaces = set()
        for line in _read(net / "route").splitlines()[1:]:
            fields = line.split()
            if len(fields) > 7 and fields[1] == fields[7] == "00000000":
                interfaces.add(fields[0])
        for line in _read(net / "ipv6_route").splitlines():
            fields = line.split()
            is_default = len(fields) > 9 and fields[0] == "0" * 32 and fields[1] == "00"
            if is_default and fields[9] != "lo":
                interfaces.add(fields[9])
        return interfaces

    def _is_costly(self, interface: str) -> bool:
        lines = _read(self._root / "sys/class/net" / interface / "uevent").splitlines()
        return any(f"DEVTYPE={kind}" in lines for kind in _COSTLY)


def free_space(store: Path) -> int:
    """Return the bytes free on the store's file system."""
    import shutil  # only an installation asks for the space

    while not store.exists():
        store = store.parent
    return shutil.disk_usage(store).free


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
