"""Finding the references in a file: part of the format, so it must never change."""
