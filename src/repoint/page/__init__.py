"""The Settings page: what a person sees and does in a browser on the same machine.

Nothing stays resident. A socket or ``repoint settings`` starts the server, and it ends by itself
when nobody uses it.
"""
