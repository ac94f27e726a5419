"""What the measuring commands `bench` and `tune` have in common."""
