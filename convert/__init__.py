"""Turns a trained model into a bundle, with the evidence that it answers as the model did."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snooze.convert.conversion import Converted, convert
    from snooze.convert.errors import ConversionError, GraphRefused, ParityRefused, Refused
    from snooze.convert.options import Options

_MODULES = {
    "ConversionError": "errors",
    "Converted": "conversion",
    "GraphRefused": "errors",
    "Options": "options",
    "ParityRefused": "errors",
    "Refused": "errors",
    "convert": "conversion",
}

__all__ = ["ConversionError", "Converted", "GraphRefused", "Options", "ParityRefused", "Refused", "convert"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: the command's help needs none of them."""
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module 'snooze.convert' has no attribute {name!r}")
    return getattr(import_module(f"snooze.convert.{_MODULES[name]}"), name)
