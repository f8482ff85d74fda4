"""Bundles in, HTTP answers out: the Open Inference Protocol and a plain one, from a process that starts quickly."""

TYPE_CHECKING = False  # type checkers take it as true; `typing` would be the first import of every cold start
if TYPE_CHECKING:
    from snooze.service.app import create_app
    from snooze.service.errors import ServiceError
    from snooze.service.settings import Settings

_MODULES = {"create_app": "app", "ServiceError": "errors", "Settings": "settings"}

__all__ = ["ServiceError", "Settings", "create_app"]


def __getattr__(name: str) -> object:
    """Import a public name when it is used: the cold path passes through this module."""
    from importlib import import_module

    if name in _MODULES:
        return getattr(import_module(f"snooze.service.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'snooze.service' has no attribute {name!r}")
