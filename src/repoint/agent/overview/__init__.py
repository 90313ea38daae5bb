"""The overview of a product, and the English sentences that describe it."""
