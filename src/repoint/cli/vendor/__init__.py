"""The commands for a vendor."""
