"""Trees of files: scanning, sealing, comparing and verifying them.

This room knows nothing of products.
"""
