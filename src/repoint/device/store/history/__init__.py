"""The history of a product, and its completion after an interruption."""
