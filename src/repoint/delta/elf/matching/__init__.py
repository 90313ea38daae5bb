"""Encoder only: which ranges of the new file to copy from the old one."""
