"""What is protected, what is exposed, and what has to restart."""
