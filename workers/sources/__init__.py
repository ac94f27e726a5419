"""Where a worker's next request comes from, and how it waits for it."""
