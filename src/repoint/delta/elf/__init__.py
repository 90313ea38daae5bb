"""Codec `elf`: patches for compiled code. The method is described in `docs/delta.md`.

Only `codec` and `account` are used from outside. The rooms, from low to high: `common`,
`references`, `payload`, `prediction`, `matching` (encoder only); each imports only rooms before it.
"""
