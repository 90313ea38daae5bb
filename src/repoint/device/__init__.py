"""The device's side: enrolment, the store, the way of an improvement, and its removal.

This room knows nothing of web or terminal.
"""
