"""Loaded models: files to sessions, the models of one server, and when each of them runs."""
