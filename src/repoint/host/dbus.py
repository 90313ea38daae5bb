"""Calls over D-Bus: one connection, one call, one answer."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from repoint.model.errors import RepointError

SECONDS = 5.0
"""Time limit for an answer."""


class BusError(RepointError):
    """The bus, or the service on it, cannot be reached or refuses the call."""


class BusObject(msgspec.Struct, frozen=True):
    """An object of a service on a bus, and one of its interfaces.

    Attributes:
        service: The service's name on the bus.
        path: The object.
        interface: The interface whose methods are called.
    """

    service: str
    path: str
    interface: str


class Bus(msgspec.Struct, frozen=True):
    """A message bus.

    Attributes:
        address: Its address, such as ``unix:path=/run/dbus/system_bus_socket``.
    """

    address: str

    def call(
        self, target: BusObject, method: str, signature: str = "", arguments: tuple[Any, ...] = ()
    ) -> tuple[Any, ...]:
        """Call a method.

        Args:
            target: The object and the interface.
            method: The method.
            signature: Types of the arguments, as D-Bus writes them.
            arguments: The arguments.

        Returns:
            The values of the answer.

        Raises:
            BusError: There is no bus or no such service, or the service refuses.
        """
        from jeepney import DBusAddress, MessageType, new_method_call
        from jeepney.io.blocking import open_dbus_connection

        address = DBusAddress(target.path, bus_name=target.service, interface=target.interface)
        message = new_method_call(address, method, signature or None, arguments)
        try:
            with open_dbus_connection(self.address) as connection:
                answer = connection.send_and_get_reply(message, timeout=SECONDS)
        except Exception as error:  # jeepney's errors have no common base class
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise BusError(
                f"Cannot call {target.service} over D-Bus: {reason or 'no answer'}"
            ) from error
        body: tuple[Any, ...] = answer.body
        if answer.header.message_type == MessageType.error:
            reason = str(body[0]) if body else "no reason given"
            raise BusError(f"{target.service} refuses {method}: {reason}")
        return body

    def get_property(self, target: BusObject, name: str) -> Any:
        """Read a property; see `call`.

        Raises:
            BusError: As in `call`.
        """
        properties = BusObject(target.service, target.path, "org.freedesktop.DBus.Properties")
        ((_, value),) = self.call(properties, "Get", "ss", (target.interface, name))
        return value


def system_bus() -> Bus:
    """The system bus."""
    default = "unix:path=/run/dbus/system_bus_socket"
    return Bus(os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or default)


def session_bus() -> Bus:
    """The session bus of this account, which may not exist."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return Bus(os.environ.get("DBUS_SESSION_BUS_ADDRESS") or f"unix:path={runtime}/bus")
