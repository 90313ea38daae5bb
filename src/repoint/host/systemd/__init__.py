"""systemd and its companions: services, system extensions, logind and the journal."""
