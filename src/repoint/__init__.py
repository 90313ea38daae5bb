"""Background security improvements for any Linux product."""

__version__ = "0.1.0"
