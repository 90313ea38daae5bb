"""Benchmarks: Repoint side by side with what people use today."""
