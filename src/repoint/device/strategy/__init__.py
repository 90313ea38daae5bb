"""How the trees of the active generation reach the programs."""
