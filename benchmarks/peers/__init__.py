"""Servers to compare with, each a script of its own: what a user would write, and what bounds every such server."""
