"""Decoding in a process of its own that is confined before it reads a byte of a patch.

`child` is the parent's side, `decoder` runs in the child, and `messages` are what they exchange.
`confinement` takes everything from the child that decoding does not need, by `landlock`, `seccomp`
and resource limits; `kernel` holds the system calls that Python lacks.
"""
