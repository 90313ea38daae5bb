"""The administrator's policy, and the settings that result from it."""
