"""EROFS images, dm-verity hash trees, and layers as images."""
