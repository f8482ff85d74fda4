"""Load tests, cold starts and throughput of a running service, and predictions compared with measurements."""
