"""A component's source (a folder, a wheel, a .deb, a tar archive) made into a tree of files."""

from repoint.publisher.ingest.unpack import unpack_source

__all__ = ["unpack_source"]
