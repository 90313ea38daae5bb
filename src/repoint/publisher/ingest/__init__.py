"""Unpacking of a component's source (folder, wheel, .deb or tar archive) to a tree of files."""

from repoint.publisher.ingest.unpack import unpack_source

__all__ = ["unpack_source"]
