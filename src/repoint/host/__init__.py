"""This machine: processes, systemd, system extensions, logind, dm-verity, D-Bus.

This room knows nothing of products.
"""
