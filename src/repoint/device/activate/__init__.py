"""Activation, restart, confirmation and recovery."""
