"""The guard: it watches what becomes of an offered letter, and halts one that goes wrong."""
