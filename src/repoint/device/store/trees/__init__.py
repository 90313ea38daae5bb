"""The trees of the store: which are in force, whether they are intact, and which nothing uses."""
