"""What is known of the improvements of a repository, from what is signed."""
