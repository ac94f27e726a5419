"""System calls, one kernel mechanism a file. Nothing here decides anything or knows a server."""
