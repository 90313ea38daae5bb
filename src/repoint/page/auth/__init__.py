"""Who uses the page: links, sessions, passcodes and peers."""
