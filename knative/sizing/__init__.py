"""Sizing: CPU, memory, latency and the number of pods, calculated from a measured profile."""
