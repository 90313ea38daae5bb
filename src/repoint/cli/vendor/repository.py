"""``repoint repository``: creation of a repository, refresh of its signatures, rotation of keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repoint.cli.command_group import command_group
from repoint.cli.options import RepositoryOption, named, path
from repoint.cli.terminal import print

app = command_group("Create a repository and keep its signatures fresh.")

ROLES = ("root", "targets", "snapshot", "timestamp")


@app.command("init")
def init(
    path: Annotated[Path, typer.Argument(parser=path, help="A folder that does not exist yet.")],
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Do not encrypt the key files.")
    ] = False,
    signer: Annotated[
        list[str] | None,
        typer.Option(help="ROLE=URI: a role's private key in a KMS or HSM, instead of a key file."),
    ] = None,
    public_key: Annotated[
        list[str] | None,
        typer.Option(help="ROLE=FILE: the public key (PEM) of --signer."),
    ] = None,
) -> None:
    """Create a repository with a key for each role."""
    from repoint.cli.passphrases import asking, new_passphrase
    from repoint.model.extras import require_vendor
    from repoint.repository.keys import read_public_key
    from repoint.repository.repository import Repository

    require_vendor("repoint repository init")
    uris = named(signer or [], "--signer")
    files = named(public_key or [], "--public-key")
    if uris.keys() != files.keys() or not uris.keys() <= set(ROLES):
        raise typer.BadParameter(
            f"--signer and --public-key belong together, for any of {', '.join(ROLES)}"
        )
    signers = {role: (uri, read_public_key(Path(files[role]))) for role, uri in uris.items()}
    passphrase = None if no_passphrase or len(signers) == len(ROLES) else new_passphrase()
    repository = Repository.create(path, passphrase=passphrase, signers=signers, pins=asking())
    root = repository.public / "metadata" / "1.root.json"
    print(f"Created a repository at {path}.")
    print(f"Keys: {path / 'keys'} (keep them private, and the root key offline).")
    print(f"Devices enrol with its root: {root}")


@app.command("address")
def address(
    url: Annotated[str, typer.Argument(help="The https address at which `public` is served.")],
    repository: RepositoryOption = Path(),
) -> None:
    """Set the public address, which Atom, CSAF and ROLIE need to name what they list."""
    from repoint.cli.passphrases import asking
    from repoint.model.extras import require_vendor
    from repoint.publisher.feeds.announce import FOLDER, announced
    from repoint.repository.repository import Repository

    require_vendor("repoint repository address")
    opened = Repository.open(repository)
    with announced(opened, asking()) as publication:
        publication.serve_at(url)
    print(f"The public address is {opened.address}.")
    print(f"What the world sees: {opened.address}/{FOLDER}/index.html")


@app.command("refresh")
def refresh(repository: RepositoryOption = Path()) -> None:
    """Renew the signatures that expire soon. Run it daily."""
    from repoint.cli.passphrases import asking
    from repoint.model.extras import require_vendor
    from repoint.publisher.feeds.announce import announced
    from repoint.repository.repository import Repository

    require_vendor("repoint repository refresh")
    opened = Repository.open(repository)
    with announced(opened, asking()) as publication:
        expiring = publication.refresh()
    soonest = min(opened.roles(), key=lambda role: role.expires)
    print(f"Refreshed. The first to expire is {soonest.role}, on {soonest.expires:%Y-%m-%d}.")
    for role in expiring:
        print(f"{role} expires soon, but its key is not available; refresh it where the key is.")


@app.command("rotate")
def rotate(
    role: Annotated[str, typer.Argument(help="The role that gets a new key.")],
    repository: RepositoryOption = Path(),
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Do not encrypt the new key file.")
    ] = False,
    signer: Annotated[
        str | None, typer.Option(help="URI of an existing key in a KMS or HSM.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(parser=path, help="Its public key (PEM).")
    ] = None,
) -> None:
    """Give a role a new key. Devices follow automatically."""
    from repoint.cli.passphrases import asking, new_passphrase
    from repoint.model.extras import require_vendor
    from repoint.publisher.feeds.announce import announced
    from repoint.repository.errors import UnknownRoleError
    from repoint.repository.keys import KeyLocation, read_public_key
    from repoint.repository.repository import Repository

    require_vendor("repoint repository rotate")
    if (signer is None) != (public_key is None):
        raise typer.BadParameter("--signer and --public-key belong together")
    opened = Repository.open(repository)
    roles = [each.role for each in opened.roles()]
    if role not in roles:
        raise UnknownRoleError(
            f"The repository has no role {role[:60]!r}", hint=f"Its roles: {', '.join(roles)}"
        )
    passphrase = None if no_passphrase or signer is not None else new_passphrase()
    with announced(opened, asking()) as publication:
        if signer is not None and public_key is not None:
            key = KeyLocation(signer, read_public_key(public_key))
        else:
            key = publication.new_key_file(role, passphrase)
        publication.rotate(role, [(key.uri, key.key)])
    print(f"{role} has the new key {key.key.keyid[:8]} at {key.uri}.")
