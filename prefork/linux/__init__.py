"""System calls: one kernel mechanism in each module. Nothing here decides or knows a server."""
