"""What an administrator decides, and what follows from it."""
