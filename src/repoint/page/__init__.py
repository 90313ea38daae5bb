"""The Settings page: a small web site that the device serves to one person's browser.

Nothing stays resident. A socket or ``repoint settings`` starts the server, and it stops when idle.

The rooms, each of which imports only those above it: ``i18n`` (languages), ``auth`` (who may use
the page), ``views`` (what it shows and changes), and the server itself: ``app`` routes requests,
``server`` runs it, ``control_server`` hands out one-time links, ``open_page`` opens the browser.
"""
