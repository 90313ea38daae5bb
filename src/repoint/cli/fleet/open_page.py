"""``repoint fleet open``: the fleet page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repoint.cli.fleet.options import StateOption, state_folder
from repoint.cli.options import path
from repoint.cli.terminal import print

if TYPE_CHECKING:
    from repoint.fleet.page.auth.address import Address
    from repoint.fleet.page.auth.oidc import Provider
    from repoint.fleet.page.vendor import VendorSide


def open_page(
    database: Annotated[
        str | None,
        typer.Option(
            envvar="REPOINT_FLEET_DATABASE",
            help="Where `repoint fleet serve` keeps the fleet's state: sqlite:///PATH or "
            "postgresql://USER@HOST/DATABASE.",
            show_default="fleet.db in the folder of --state",
        ),
    ] = None,
    repository: Annotated[
        Path | None,
        typer.Option(
            "--repository", "-r", parser=path, envvar="REPOINT_REPOSITORY",
            help="Folder of the repository, to see and change rollouts.", show_default="none",
        ),
    ] = None,
    state: StateOption = None,
    listen: Annotated[str, typer.Option(help="Address and port to listen at.")] = "127.0.0.1:8741",
    public_url: Annotated[
        str | None,
        typer.Option(help="The address that browsers use, if a proxy with HTTPS stands before it."),
    ] = None,
    oidc: Annotated[
        Path | None,
        typer.Option(parser=path, help="A TOML file with the OpenID provider to sign in with."),
    ] = None,
) -> None:  # fmt: skip
    """Serve the fleet page until it is stopped, and open it in the browser."""
    from repoint.fleet.listening import listen_at
    from repoint.fleet.page.auth.accounts import Accounts
    from repoint.fleet.page.auth.address import address_for
    from repoint.fleet.page.server import serve
    from repoint.fleet.page.state import PageState
    from repoint.fleet.stores.opening import open_state
    from repoint.page.page_store import PageStore

    host, port = _host_and_port(listen)
    address_for(public_url, host, port)  # refuses before anything is opened
    folder = state_folder(state)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    vendor = _vendor(repository)
    fleet = open_state(database or f"sqlite:///{folder.absolute()}/fleet.db")
    listener = listen_at(host, port)
    address = address_for(public_url, host, listener.getsockname()[1])
    provider = _provider(oidc, address)
    page = PageState(fleet, folder, address, vendor, provider)

    def announce() -> None:
        print(f"The fleet page is at {address.origin}/", flush=True)
        if provider is None and not Accounts(PageStore(folder)).all():
            print(
                "Nobody can sign in yet. Add an account: repoint fleet account add NAME "
                "--role operator",
                flush=True,
            )
        _open_in_browser(address)

    serve(page, listener, announce)


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise typer.BadParameter(
            f"{text[:60]!r} is not an address and a port, such as 127.0.0.1:8741",
            param_hint="--listen",
        )
    return host.strip("[]"), int(port)


def _vendor(repository: Path | None) -> VendorSide | None:
    import time

    from repoint.cli.passphrases import from_environment
    from repoint.fleet.page.vendor import VendorSide
    from repoint.repository.repository import Repository

    if repository is None:
        return None
    return VendorSide(Repository.open(repository), from_environment, time.time)


def _provider(settings: Path | None, address: Address) -> Provider | None:
    import time

    from repoint.fleet.page.auth.oidc import Provider, read_settings

    if settings is None:
        return None
    read, secret = read_settings(settings)
    return Provider(read, secret, address.origin, time.time)


def _open_in_browser(address: Address) -> None:
    """Open the page in a desktop session. Root opens none: a browser belongs to a person."""
    from repoint.host.run import find_program, start_detached

    program = find_program("xdg-open")
    has_desktop = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if program is not None and has_desktop and os.geteuid() != 0:
        start_detached([program, f"{address.origin}/"], Path(os.devnull), os.environ)
