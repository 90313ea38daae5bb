"""The catalog of a product: what is published, claimed and cared for."""
