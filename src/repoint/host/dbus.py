"""Calls over D-Bus: one connection, one question, one answer."""

from __future__ import annotations

import os
from typing import Any

from repoint.model.errors import RepointError

SECONDS = 5.0
"""How long an answer may take."""


class BusError(RepointError):
    """The bus or the service on it cannot be reached, or refuses."""


def call(
    address: str,
    service: str,
    path: str,
    interface: str,
    method: str,
    signature: str = "",
    arguments: tuple[Any, ...] = (),
) -> tuple[Any, ...]:
    """Call a method.

    Args:
        address: The bus, such as ``unix:path=/run/dbus/system_bus_socket``.
        service: The service's name on the bus.
        path: The object.
        interface: The method's interface.
        method: The method.
        signature: Types of the arguments, as D-Bus writes them.
        arguments: The arguments.

    Returns:
        What it answers.

    Raises:
        BusError: There is no bus, no such service, or it refuses.
    """
    from jeepney import DBusAddress, MessageType, new_method_call
    from jeepney.io.blocking import open_dbus_connection

    target = DBusAddress(path, bus_name=service, interface=interface)
    message = new_method_call(target, method, signature or None, arguments)
    try:
        with open_dbus_connection(address) as connection:
            answer = connection.send_and_get_reply(message, timeout=SECONDS)
    except Exception as error:  # jeepney's errors of parsing and authentication share no root
        raise BusError(f"{service} cannot be asked over D-Bus: {error or 'no answer'}") from error
    body: tuple[Any, ...] = answer.body
    if answer.header.message_type == MessageType.error:
        said = str(body[0]) if body else "it refuses"
        raise BusError(f"{service} refuses {method}: {said}")
    return body


def get_property(address: str, service: str, path: str, interface: str, name: str) -> Any:
    """Read a property; see `call`.

    Raises:
        BusError: As there.
    """
    ((_, value),) = call(
        address, service, path, "org.freedesktop.DBus.Properties", "Get", "ss", (interface, name)
    )
    return value


def system_bus() -> str:
    """Address of the system's bus."""
    return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or "unix:path=/run/dbus/system_bus_socket"


def session_bus() -> str:
    """Address of this user's session bus, whether or not there is one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return os.environ.get("DBUS_SESSION_BUS_ADDRESS") or f"unix:path={runtime}/bus"
