"""A load test: requests offered at a fixed rate, what became of each, and what the server used."""
