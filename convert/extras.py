"""Imports packages of the optional extras."""

from importlib import import_module
from types import ModuleType

from snooze.bundle.errors import MissingExtra
from snooze.convert.quiet import quiet


def import_extra(extra: str, *modules: str) -> ModuleType:
    """Import modules of an extra without their output, and return the first. Raises MissingExtra."""
    try:
        with quiet():
            first, *_ = map(import_module, modules)
            return first
    except ModuleNotFoundError as error:
        if error.name not in (*modules, "onnx"):  # installed but broken: show the real cause
            raise
        raise MissingExtra(error.name, extra) from None
