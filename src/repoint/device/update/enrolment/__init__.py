"""Enrolment of a product, moves to another baseline, and unenrolment."""
