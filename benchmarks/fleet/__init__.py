"""`make bench-fleet`: the collector of reports, on SQLite and PostgreSQL, beside goosebit."""
