"""What other programs read: Prometheus, OTLP, a JSON API and CSV."""
