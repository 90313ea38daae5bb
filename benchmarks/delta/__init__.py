"""The delta engine beside the general tools: sizes, times and memory on real and on bad input."""
