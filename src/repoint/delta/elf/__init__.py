"""Patches for compiled code: old ELF file + new ELF file -> payload, and back.

The method is described in ``docs/delta.md``. Only `codec` is used from outside.
"""
