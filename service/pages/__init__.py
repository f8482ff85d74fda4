"""Everything but predictions and probes, most of it as JSON, and the pages for people."""
