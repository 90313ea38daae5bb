"""The device's condition, from files as the kernel writes them and from a real bus."""

from __future__ import annotations

from pathlib import Path

import pytest

from repoint.host.conditions import ConditionReader, free_space
from tests.agent.buses import Bus, needs_bus


def supply(root: Path, name: str, **files: str) -> None:
    folder = root / "sys/class/power_supply" / name
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_text(content + "\n")


def test_without_a_battery_there_is_power(tmp_path: Path) -> None:
    assert ConditionReader(tmp_path).battery() == (None, True)


@pytest.mark.parametrize(
    ("status", "online", "charging"),
    [("Discharging", "0", False), ("Charging", "0", True), ("Not charging", "1", True),
     ("Full", "0", True), ("Unknown", "0", False)],
)  # fmt: skip
def test_a_battery_and_what_charges_it(
    tmp_path: Path, status: str, online: str, charging: bool
) -> None:
    supply(tmp_path, "BAT0", type="Battery", capacity="17", status=status, present="1")
    supply(tmp_path, "AC", type="Mains", online=online)
    assert ConditionReader(tmp_path).battery() == (17, charging)


def test_of_several_batteries_the_emptiest_counts_but_a_mouse_does_not(tmp_path: Path) -> None:
    supply(tmp_path, "BAT0", type="Battery", capacity="80", status="Discharging")
    supply(tmp_path, "BAT1", type="Battery", capacity="40", status="Discharging")
    supply(tmp_path, "BAT2", type="Battery", capacity="0", status="Unknown", present="0")
    supply(tmp_path, "mouse", type="Battery", capacity="3", status="Discharging", scope="Device")
    supply(tmp_path, "odd", type="Battery", capacity="full", status="Discharging")
    assert ConditionReader(tmp_path).battery() == (40, False)


ROUTE = (
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    "{default}\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
)
ROUTE6 = (
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "fe800000000000000000000000000001 00000400 00000001 00000000 00000003 {default}\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
)


@pytest.mark.parametrize("route", ["route", "ipv6_route"])
@pytest.mark.parametrize(
    ("kind", "metered"), [("wwan", True), ("bluetooth", True), ("wlan", False), ("", False)]
)
def test_a_mobile_network_is_metered_by_default(
    tmp_path: Path, route: str, kind: str, metered: bool
) -> None:
    (tmp_path / "proc/self/net").mkdir(parents=True)
    text = ROUTE if route == "route" else ROUTE6
    (tmp_path / "proc/self/net" / route).write_text(text.format(default="net0"))
    device = tmp_path / "sys/class/net/net0"
    device.mkdir(parents=True)
    (device / "uevent").write_text((f"DEVTYPE={kind}\n" if kind else "") + "INTERFACE=net0\n")
    assert ConditionReader(tmp_path).is_metered() is metered


@needs_bus
@pytest.mark.parametrize(("value", "metered"), [(1, True), (3, True), (2, False), (4, False)])
def test_network_manager_knows_best(tmp_path: Path, bus: Bus, value: int, metered: bool) -> None:
    bus.play_network_manager(value)
    (tmp_path / "run/dbus").mkdir(parents=True)
    (tmp_path / "run/dbus/system_bus_socket").symlink_to(bus.socket)
    assert ConditionReader(tmp_path).is_metered() is metered


@needs_bus
def test_a_bus_without_network_manager_says_nothing(tmp_path: Path, bus: Bus) -> None:
    (tmp_path / "run/dbus").mkdir(parents=True)
    (tmp_path / "run/dbus/system_bus_socket").symlink_to(bus.socket)
    assert ConditionReader(tmp_path).is_metered() is False


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    seen = ConditionReader().read(tmp_path / "not/made/yet")
    assert seen.free == pytest.approx(free_space(tmp_path), rel=0.1)
    assert not seen.battery_is_below(0)
