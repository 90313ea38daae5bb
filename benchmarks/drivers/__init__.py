"""Scripts that run as processes of their own, do one job and print their times as JSON."""
