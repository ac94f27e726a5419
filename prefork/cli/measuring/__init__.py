"""What the commands `bench` and `tune` share."""
