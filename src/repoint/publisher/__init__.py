"""The vendor's side: baselines in, improvements out."""
