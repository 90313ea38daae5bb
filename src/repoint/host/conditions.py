"""The device's condition: its connection, its battery and its disk."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

_COSTLY = ("wwan", "bluetooth")
"""Kinds of interfaces (``DEVTYPE`` in sysfs) that go over a mobile phone's network."""

# org.freedesktop.NetworkManager, NMMetered: yes, and yes by a guess.
_METERED = (1, 3)
_UNKNOWN = 0


@dataclass(frozen=True)
class Conditions:
    """How the device is.

    Attributes:
        metered: Whether what is downloaded may cost.
        battery: Percent; nothing where there is no battery.
        charging: Whether the device has power from outside.
        free: Bytes free on the store's file system.
    """

    metered: bool = False
    battery: int | None = None
    charging: bool = True
    free: int = 1 << 62

    def battery_is_below(self, percent: int) -> bool:
        """Whether the battery is low and nothing charges it."""
        return self.battery is not None and self.battery < percent and not self.charging


def read_conditions(store: Path, *, system: Path = Path("/")) -> Conditions:
    """Look at the device.

    Args:
        store: The store.
        system: Where ``sys``, ``proc`` and ``run`` are.
    """
    battery, charging = read_battery(system)
    return Conditions(is_metered(system), battery, charging, free_space(store))


def free_space(store: Path) -> int:
    """Bytes free on the store's file system."""
    while not store.exists():
        store = store.parent
    return shutil.disk_usage(store).free


def read_battery(system: Path) -> tuple[int | None, bool]:
    """Percent of the emptiest battery that drives the device, and whether it gets power.

    The kernel's ``sysfs-class-power`` says what the files mean. A mouse's battery has the scope
    ``Device``.
    """
    levels = []
    charging = False
    for supply in sorted((system / "sys/class/power_supply").glob("*")):
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


def is_metered(system: Path) -> bool:
    """Whether the connection is metered.

    NetworkManager knows, by what the person has set, or by what the network says of itself. Where
    it does not run or does not know, a connection over a mobile phone's network counts as metered.
    """
    said = _ask_network_manager(system / "run/dbus/system_bus_socket")
    if said == _UNKNOWN:
        return any(_is_costly(system, name) for name in _default_interfaces(system))
    return said in _METERED


def _ask_network_manager(socket: Path) -> int:
    from repoint.host.dbus import BusError, get_property

    if not socket.exists():
        return _UNKNOWN
    name = "org.freedesktop.NetworkManager"
    try:
        said = get_property(
            f"unix:path={socket}", name, "/org/freedesktop/NetworkManager", name, "Metered"
        )
    except BusError:
        return _UNKNOWN
    return said if isinstance(said, int) else _UNKNOWN


def _default_interfaces(system: Path) -> set[str]:
    """The interfaces that a default route leads over (proc(5), ``/proc/net/route``).

    ``/proc/net`` itself may be hidden from a service (``ProcSubset=``).
    """
    found = set()
    for line in _read(system / "proc/self/net/route").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "00000000":
            found.add(fields[0])
    for line in _read(system / "proc/self/net/ipv6_route").splitlines():
        fields = line.split()
        if len(fields) > 9 and fields[0] == "0" * 32 and fields[1] == "00" and fields[9] != "lo":
            found.add(fields[9])
    return found


def _is_costly(system: Path, interface: str) -> bool:
    described = _read(system / "sys/class/net" / interface / "uevent").splitlines()
    return any(f"DEVTYPE={kind}" in described for kind in _COSTLY)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
