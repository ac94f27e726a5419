"""Finding what `MODULE:HANDLER` names, and making a server class with a pool of it."""
