"""The on-disk state of a device: trees, generations, and which of them are active and staged."""
