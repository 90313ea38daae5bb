"""Commands for vendors."""
