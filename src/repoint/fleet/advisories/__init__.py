"""What each letter fixes, and so which devices are exposed to which CVE."""
