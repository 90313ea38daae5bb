"""Who may use the page: one-time links, sessions, passcodes, and checks of every request.

The way of a request: ``request_checks`` looks at its headers and asks the kernel for the account
behind it (``peers``), a one-time link (``login_links``) starts a session (``sessions``), and a
change requires the passcode (``passcode_prompt``, ``passcode_guard``, ``passcodes``).
"""
