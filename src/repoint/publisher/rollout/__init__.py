"""Rollouts: how a vendor writes, starts, changes and stops the schedule of an improvement."""
