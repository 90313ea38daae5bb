"""Durable writes, clones, locks and removal. This room knows no word of Repoint."""
