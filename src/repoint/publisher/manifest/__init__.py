"""The vendor's manifest ``repoint.toml``: a product, its components, platforms and baselines."""
