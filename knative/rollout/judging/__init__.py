"""Whether the new revision of a rollout is good enough: what is asked, counted and compared."""
