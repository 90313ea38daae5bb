"""The generations of a product: the links to them, their marks and trials, and the last switch."""
