"""Bundles in, HTTP answers out: the Open Inference Protocol and a plain one, from a process that starts in a blink."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snooze.service.app import create_app
    from snooze.service.errors import ServiceError
    from snooze.service.settings import Settings

_HOMES = {"create_app": "app", "ServiceError": "errors", "Settings": "settings"}

__all__ = ["ServiceError", "Settings", "create_app"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: `python -m snooze.service` counts every module."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"snooze.service.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'snooze.service' has no attribute {name!r}")
