"""The background service and the Settings page, on top of the device's own room."""
