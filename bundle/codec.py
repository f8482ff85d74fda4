"""`bundle.json` to types and back. One small decoder and encoder, driven by the annotations of `contract.py`."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin

from snooze.bundle import json_text
from snooze.bundle.contract import MAX_INTEGER, SCHEMA_VERSION, Bundle, JsonObject, Length, Range, Tensor
from snooze.bundle.errors import InvalidContract, UnknownSchema
from snooze.bundle.names import Text

CONTRACT: Final = "bundle.json"
SAMPLES: Final = "samples.npz"

T = TypeVar("T")
Reader = Callable[[Any, str, bool], Any]  # value, place in the document, whether unknown keys are refused


def decode(text: str | bytes) -> Bundle:
    """
    Return the contract in the text of a `bundle.json` (UTF-8). Evidence and profile are left as plain JSON.

    Raises:
        InvalidContract: names the field, what was expected and what was found.
        UnknownSchema: the text follows another version of the contract.
    """
    document = json_text.parse(text)
    if type(document) is not dict:
        raise InvalidContract("the file", f"expected an object, got {show(document)}")
    version = document.pop("schema", None)
    if type(version) is not int or version != SCHEMA_VERSION:
        raise UnknownSchema(version, SCHEMA_VERSION)
    bundle = read(Bundle, document, "")
    _check_consistency(bundle)
    return bundle


def encode(bundle: Bundle) -> str:
    """
    Return the text of `bundle.json`, one key on each line so that two versions can be compared.

    Raises:
        InvalidContract: a value has no JSON form: NaN, infinity, half a surrogate pair, a numpy array.
    """
    return json_text.write({"schema": SCHEMA_VERSION, **document(bundle)})


def read(kind: type[T], value: object, place: str, closed: bool = True) -> T:
    """
    Return a JSON value as one of the contract's types.

    Args:
        kind: a type of `contract.py` or `evidence.py`.
        value: what `json.loads` returned.
        place: where the value is in the document, for errors.
        closed: refuse unknown keys.

    Raises:
        InvalidContract: names the field, what was expected and what was found.
    """
    return cast("T", _reader(cast("Any", kind))(value, place, closed))


def document(record: Any) -> dict[str, Any]:
    """Return a record of the contract as a JSON object. Fields that have their default are left out."""
    return cast("dict[str, Any]", _plain(record))


def show(value: object) -> str:
    """Return a JSON value for an error message: itself, shortened, or its kind."""
    if isinstance(value, dict | list) and value:
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain(value: Any) -> Any:
    fields = getattr(value, "_fields", None)
    if fields is not None:
        defaults = value._field_defaults
        pairs = zip(fields, value, strict=True)
        return {name: _plain(item) for name, item in pairs if name not in defaults or item != defaults[name]}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


@cache
def _reader(annotation: Any) -> Reader:
    """Return the function that reads a value of an annotated type."""
    if hasattr(annotation, "_fields"):
        return _record_reader(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _ruled_reader(arguments[0], arguments[1])
    if origin is Literal:
        return _choice_reader(arguments)
    if origin in (Union, UnionType):
        return _optional_reader(arguments[0])
    if origin is tuple:
        return _list_reader(_reader(arguments[0]), Length(0))
    if annotation == JsonObject:
        return _check_object
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_reader(_reader(arguments[0]), _reader(arguments[1]))
    return _scalar_reader(annotation)


def _record_reader(kind: Any) -> Reader:
    fields = [(name, _reader(kind.__annotations__[name])) for name in kind._fields]
    defaults: dict[str, Any] = kind._field_defaults

    def read_record(value: Any, place: str, closed: bool) -> Any:
        _check_object(value, place, closed)
        inside = f"{place}." if place else ""
        items = []
        for name, reader in fields:
            if name in value:
                items.append(reader(value[name], inside + name, closed))
            elif name in defaults:
                items.append(defaults[name])
            else:
                raise InvalidContract(inside + name, "is missing")
        if closed:
            for key in value:
                if key not in kind._fields:
                    raise InvalidContract(inside + key, "is not a key of the contract")
        return kind(*items)

    return read_record


def _ruled_reader(inner: Any, rule: Any) -> Reader:
    if isinstance(rule, Length):
        return _list_reader(_reader(get_args(inner)[0]), rule)
    plain = _reader(inner)
    if isinstance(rule, Text):

        def read_text(value: Any, place: str, closed: bool) -> str:
            if type(value) is not str or not rule.matches(value):
                raise InvalidContract(place, f"expected {rule.expected}, got {show(value)}")
            return value

        return read_text

    def read_number(value: Any, place: str, closed: bool) -> Any:
        number = plain(value, place, closed)
        if not rule.least <= number <= rule.most:
            raise InvalidContract(place, f"expected {_range(inner, rule)}, got {show(value)}")
        return number

    return read_number


def _choice_reader(choices: tuple[str, ...]) -> Reader:
    def read_choice(value: Any, place: str, closed: bool) -> str:
        if type(value) is not str or value not in choices:
            raise InvalidContract(place, f"expected one of {', '.join(choices)}, got {show(value)}")
        return value

    return read_choice


def _optional_reader(inner: Any) -> Reader:
    reader = _reader(inner)
    return lambda value, place, closed: None if value is None else reader(value, place, closed)


def _list_reader(item: Reader, length: Length) -> Reader:
    most = length.most

    def read_list(value: Any, place: str, closed: bool) -> tuple[Any, ...]:
        if type(value) is not list:
            raise InvalidContract(place, f"expected a list, got {show(value)}")
        if len(value) < length.least or (most is not None and len(value) > most):
            limits = f"at least {length.least}" if most is None else f"{length.least} to {most}"
            raise InvalidContract(place, f"expected {limits} items, got {len(value)}")
        return tuple(item(one, f"{place}[{index}]", closed) for index, one in enumerate(value))

    return read_list


def _mapping_reader(key: Reader, item: Reader) -> Reader:
    def read_mapping(value: Any, place: str, closed: bool) -> dict[str, Any]:
        _check_object(value, place, closed)
        return {key(name, place, closed): item(one, f"{place}.{name}", closed) for name, one in value.items()}

    return read_mapping


def _scalar_reader(kind: Any) -> Reader:
    allowed = {int: (int,), float: (int, float)}.get(kind, (kind,))
    expected = {str: "a string", int: "an integer", float: "a number", bool: "true or false", NoneType: "null"}[kind]

    def read_scalar(value: Any, place: str, closed: bool) -> Any:
        if type(value) not in allowed or (kind is int and abs(value) > MAX_INTEGER):
            raise InvalidContract(place, f"expected {expected}, got {show(value)}")
        return float(value) if kind is float else value

    return read_scalar


def _check_object(value: Any, place: str, closed: bool) -> Any:
    if type(value) is not dict:
        raise InvalidContract(place or "the file", f"expected an object, got {show(value)}")
    return value


def _range(kind: Any, rule: Range) -> str:
    what = "an integer" if kind is int else "a number"
    return (
        f"{what} of at least {rule.least}" if rule.most >= MAX_INTEGER else f"{what} from {rule.least} to {rule.most}"
    )


def _check_consistency(bundle: Bundle) -> None:
    """Check what no single field can tell."""
    for kind, tensors in (("inputs", bundle.inputs), ("outputs", bundle.outputs)):
        _check_tensors(kind, tensors, bundle)
    _check_labels(bundle)
    names = [tensor.name for tensor in bundle.outputs]
    shapes = {tensor.name: tensor.shape for tensor in bundle.outputs}
    for name in (*bundle.tolerance, *names):
        if name not in names:
            raise InvalidContract(f"tolerance.{name}", f"is not an output; expected {', '.join(names)}")
        if name not in bundle.tolerance:
            raise InvalidContract(f"tolerance.{name}", "is missing")
        limit = bundle.tolerance[name]
        if limit.exact and (limit.rtol or limit.atol or limit.columns):
            raise InvalidContract(f"tolerance.{name}", "expected exact, or rtol and atol, got both")
        if limit.columns and ((len(limit.columns),) != shapes[name][-1:] or limit.atol):
            problem = f"expected one for each column of {list(shapes[name])} and no atol, got {len(limit.columns)}"
            raise InvalidContract(f"tolerance.{name}.columns", problem)
    for file in (SAMPLES, bundle.session.file):
        if file not in bundle.files:
            raise InvalidContract(f"files.{file}", "is missing")
    if bundle.adapter is not None:
        from snooze.bundle.adapters import registry

        registry.check(bundle)


def _check_labels(bundle: Bundle) -> None:
    """Check that there are as many labels as scores; a single score may stand for two classes."""
    labels = bundle.labels
    if labels is None:
        return
    if len(set(labels)) < len(labels):
        raise InvalidContract("labels", f"{next(one for one in labels if labels.count(one) > 1)!r} is duplicated")
    widths = {tensor.shape[-1] for tensor in bundle.outputs if tensor.role == "scores" and tensor.shape}
    if widths and not widths & {-1, len(labels), 1 if len(labels) == 2 else -1}:
        raise InvalidContract(
            "labels", f"expected {' or '.join(map(str, widths))}, one for each score, got {len(labels)}"
        )


def _check_tensors(kind: str, tensors: tuple[Tensor, ...], bundle: Bundle) -> None:
    batching = bundle.batching
    names = [tensor.name for tensor in tensors]
    for index, tensor in enumerate(tensors):
        place = f"{kind}[{index}]"
        if tensor.name in names[:index]:
            raise InvalidContract(f"{place}.name", f"{show(tensor.name)} is duplicated")
        if kind == "inputs" and tensor.role is not None:
            raise InvalidContract(f"{place}.role", "is only allowed for outputs")
        if batching is not None and tensor.shape[batching.axis : batching.axis + 1] != (-1,):
            problem = f"the shape of {show(tensor.name)} in {kind}, {list(tensor.shape)}, is not variable along axis"
            raise InvalidContract("batching.axis", f"{problem} {batching.axis}; batching must be null")
