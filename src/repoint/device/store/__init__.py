"""What is on disk: trees, generations, and what is active and staged."""
