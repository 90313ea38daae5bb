"""The payload: columns of numbers in compressed streams."""
