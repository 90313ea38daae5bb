"""The vendor's side: baselines, improvements, and their publication."""
