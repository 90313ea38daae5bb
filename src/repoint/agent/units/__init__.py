"""The systemd units of the agent and the page."""
