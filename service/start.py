"""Moved to `snooze.service.process.start`."""
