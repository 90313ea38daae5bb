"""The commands for a device."""
