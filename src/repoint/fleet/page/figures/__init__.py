"""The figures that the page shows, computed from roll-ups and published documents. No I/O."""
