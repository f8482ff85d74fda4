"""Rows for a model: read from a file or the command line, fitted to a signature, or drawn from it."""
