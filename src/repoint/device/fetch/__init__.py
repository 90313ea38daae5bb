"""The repository as a device sees it: HTTP, and signed documents."""
