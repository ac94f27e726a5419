"""What both sides of a fork agree on: channel, messages, completions, scoreboard, exit codes."""
