"""The contract between what converts a model and what serves it, and what several packages need."""
