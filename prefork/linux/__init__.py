"""System calls: one kernel mechanism in each file. Nothing here decides, or knows a server."""
