"""One file for each change of the tables. A file never changes once it was released."""
