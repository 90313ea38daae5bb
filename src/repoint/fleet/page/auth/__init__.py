"""Who may see and change what: accounts, OpenID Connect, sessions, and checks of every request."""
