"""Commands that work from the manifest ``repoint.toml``."""
