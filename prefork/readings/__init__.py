"""What the master can read of the kernel and the machine; nothing here is kept or changed."""
