"""What the page shows, and the changes that its forms make."""
