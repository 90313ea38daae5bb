"""The intake of reports: an HTTP server that answers only when what it took is on disk."""
