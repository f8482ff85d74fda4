"""A/B: the same labelled rows asked of two revisions, and what their answers say about which is better."""
