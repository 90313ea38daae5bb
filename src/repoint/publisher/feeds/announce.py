"""Publications that the world is told of.

The order is: first the change takes effect for devices, then the world is told. So a failure to
tell never holds a publication back, and nothing is told that is not published. What failed, or was
killed in between, the next publication tells; the daily refresh is one.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from repoint.model.errors import RepointError
from repoint.model.printable import one_line
from repoint.repository.keys import Passphrases
from repoint.repository.names import TIMESTAMP
from repoint.repository.publication import Publication
from repoint.repository.repository import Repository

FOLDER = "security"
"""The folder below the public one that is for the world; devices never read it."""

_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def announced(repository: Repository, passphrases: Passphrases) -> Iterator[Publication]:
    """Change a repository like `Repository.publication`, and tell the world what changed.

    A failure to tell is logged as a warning.

    Raises:
        RepositoryBusyError: Another process is publishing.
        KeyProblemError: A key that must sign is not available.
        RepositoryWriteError: A file could not be written.
    """

    def tell(publication: Publication) -> None:
        announce(repository, publication)

    with repository.publication(passphrases, afterwards=tell) as publication:
        yield publication


def announce(repository: Repository, publication: Publication) -> None:
    """Write what the world is told of the published state. A failure is logged, never raised."""
    try:
        _write(repository, publication)
    except Exception as error:  # whatever it is, the publication has taken effect
        reason = error.message if isinstance(error, RepointError) else str(error)
        if isinstance(error, OSError):
            reason = error.strerror or reason
        _LOG.warning(
            "The change is published, but %s was not updated: %s. "
            "`repoint repository refresh` tries again.",
            repository.public / FOLDER,
            one_line(reason or type(error).__name__),
        )


def _write(repository: Repository, publication: Publication) -> None:
    # Jinja2 and the templates are loaded only if something is told.
    from repoint.publisher.feeds.atom import atom_file
    from repoint.publisher.feeds.csaf_provider import csaf_files
    from repoint.publisher.feeds.known.facts import read_facts
    from repoint.publisher.feeds.osv import osv_files
    from repoint.publisher.feeds.pages import Pages
    from repoint.publisher.feeds.place import replace_set
    from repoint.publisher.feeds.versions import VERSIONS, versions_file

    facts = read_facts(repository)
    pages = Pages(facts)
    target = repository.public / FOLDER
    known = (target / VERSIONS).read_bytes() if (target / VERSIONS).is_file() else None
    (timestamp,) = (role for role in repository.roles() if role.role == TIMESTAMP)
    versions = versions_file(
        facts, timestamp, known, lambda data: publication.signatures(TIMESTAMP, data)
    )
    files = {
        **pages.files(),
        **atom_file(facts, pages),
        **osv_files(facts),
        **csaf_files(facts),
        VERSIONS: versions,
    }
    replace_set(target, repository.path / "staging", files)
