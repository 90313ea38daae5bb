"""Reports, if the owner consents: what is noted, when it is sent, and how it is deleted."""
