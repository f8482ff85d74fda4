"""Whether a manifest has the fields and types of a Knative Service: what the cluster's schema and decoder check."""

from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from snooze.knative.fields import SERVICE, Field
from snooze.knative.problems import Problem, did_you_mean
from snooze.knative.quantities import parse_quantity

INT64: Final = range(-(2**63), 2**63)
EXPECTED: Final = {
    "string": "a string",
    "integer": "a whole number",
    "boolean": "true or false",
    "quantity": "a quantity such as 250m or 64Mi",
    "port": "a port's number or name",
    "strings": "a map of strings",
    "quantities": "a map of quantities such as 250m or 64Mi",
}


class WrongType(Problem):
    """A value that cannot be decoded; nothing more can be said of the manifest then."""


def check_shape(manifest: object, features: Set[str]) -> Iterator[Problem]:
    """Yield each unknown field, wrong type, refused field, and field whose feature is not among `features`."""
    yield from _value(manifest, SERVICE, "", features)


def _value(value: object, field: Field, path: str, features: Set[str]) -> Iterator[Problem]:
    if value is None:  # as absent
        return
    if field.many:
        if not isinstance(value, list):
            yield WrongType(path, f"expected a list, got {_kind(value)}", "write one entry per line, each after '- '")
            return
        single = Field(field.kind)
        for index, entry in enumerate(value):
            if entry is None:
                yield WrongType(f"{path}[{index}]", "the entry is empty", "fill or remove it")
            yield from _value(entry, single, f"{path}[{index}]", features)
    elif isinstance(field.kind, str):
        yield from _scalar(value, field.kind, path)
    elif isinstance(value, dict):
        yield from _object(value, field.kind, path, features)
    else:
        yield WrongType(path or "manifest", f"expected fields, got {_kind(value)}", "see the Knative Serving API")


def _object(value: dict[Any, Any], fields: Mapping[str, Field], path: str, features: Set[str]) -> Iterator[Problem]:
    for name, entry in value.items():
        inner = f"{path}.{name}" if path else str(name)
        field = fields.get(name)
        if field is None:
            yield Problem(inner, "there is no such field", did_you_mean(str(name), fields))
            continue
        if _is_set(entry):
            if field.refused is not None:
                yield Problem(inner, f"Knative refuses this field: {field.refused}", "remove it")
                continue
            if field.feature is not None and field.feature not in features:
                yield Problem(
                    inner,
                    f"the cluster's feature {field.feature} is off by default",
                    f"remove the field, or turn the feature on and say --cluster-feature {field.feature}",
                )
        yield from _value(entry, field, inner, features)


def _is_set(value: object) -> bool:
    return value is not None and value is not False and value != ""


def _scalar(value: object, kind: str, path: str) -> Iterator[Problem]:
    if kind in ("strings", "quantities"):
        if not isinstance(value, dict):
            yield WrongType(path, f"expected {EXPECTED[kind]}, got {_kind(value)}", "write 'name: value' lines")
            return
        for name, entry in value.items():
            yield from _scalar(entry, kind.rstrip("s") if kind == "strings" else "quantity", f"{path}.{name}")
    elif not _fits(value, kind):
        remedy = "put it in quotes" if kind == "string" and isinstance(value, (int, float)) else "correct the value"
        yield WrongType(path, f"expected {EXPECTED[kind]}, got {_kind(value)}", remedy)


def _fits(value: object, kind: str) -> bool:
    number = isinstance(value, int) and not isinstance(value, bool)
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return number and value in INT64
        case "boolean":
            return isinstance(value, bool)
        case "port":
            return number or isinstance(value, str)
        case "quantity":
            textual = isinstance(value, (str, float)) or number
            return textual and parse_quantity(value) is not None  # type: ignore[arg-type]
        case _:
            return True


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "fields"
    if isinstance(value, list):
        return "a list"
    return f"{value!r}"
