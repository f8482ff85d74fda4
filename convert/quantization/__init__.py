"""8-bit versions of a model: how they are built, checked and chosen."""
