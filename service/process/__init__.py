"""The life of a server process: start, listen, serve, sleep and stop."""
