"""The device: enrolment, the store, installation, activation and removal of improvements.

This package knows nothing of the web or the terminal.
"""
