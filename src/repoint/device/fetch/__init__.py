"""The client side of a repository: HTTP, and signed documents."""
