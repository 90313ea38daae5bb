"""Improvements: from fixed components to a draft."""
