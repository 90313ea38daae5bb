"""What the kernel knows: processes, the current boot, owners of sockets, verified images."""
