"""Adapters at conversion: which one a model gets, what it makes of the user's rows, and whether that is right."""
