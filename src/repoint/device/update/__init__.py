"""Enrolment, check, installation, and removal."""
