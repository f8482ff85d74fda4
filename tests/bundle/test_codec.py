import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.bundle.codec import decode, encode
from snooze.bundle.contract import Bundle, Tensor, Tolerance
from snooze.bundle.errors import BundleError, InvalidContract, UnknownSchema
from snooze.bundle.names import FILE_NAME, MODEL_NAME

Change = Callable[[dict[str, Any]], object]


@given(st.data())
def test_decode_is_the_inverse_of_encode(bundles: st.SearchStrategy[Bundle], data: st.DataObject) -> None:
    bundle = data.draw(bundles)

    assert decode(encode(bundle)) == bundle
    assert decode(encode(bundle).encode()) == bundle


@given(st.text() | st.binary())
def test_refuses_anything_else_as_a_bundle_error(text: str | bytes) -> None:
    with pytest.raises(BundleError):
        decode(text)


def test_writes_one_key_a_line(contract: Bundle) -> None:
    lines = encode(contract).splitlines()

    assert '  "schema": 2,' in lines
    assert '        "seconds": 1.1e-05,' in lines


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not valid JSON: Expecting value: line 1 column 1 (char 0)"),
        ("{", "is not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"a": 1, "a": 2}', "is not valid JSON: key 'a' is duplicated"),
        ('{"schema": 2, "evidence": {"b": 1, "b": 1}}', "is not valid JSON: key 'b' is duplicated"),
        ('{"a": NaN}', "is not valid JSON: NaN is not allowed"),
        ('{"a": -Infinity}', "is not valid JSON: -Infinity is not allowed"),
        ('{"a": 1e999}', "is not valid JSON: 1e999 is too large a number"),
        (
            '{"a": "\\ud800"}',
            r"is not valid JSON: 'utf-8' codec can't encode character '\ud800' in position 7: surrogates not allowed",
        ),
        (b'{"a": "\xff"}', "is not valid JSON: 'utf-8' codec can't decode byte 0xff in position 7: invalid start byte"),
        ("[]", "expected an object, got []"),
        ("3", "expected an object, got 3"),
    ],
)
def test_states_why_a_text_is_not_a_contract(text: str | bytes, problem: str) -> None:
    with pytest.raises(InvalidContract) as caught:
        decode(text)

    assert str(caught.value) == f"bundle.json: the file: {problem}"


def test_refuses_nesting_without_end() -> None:
    with pytest.raises(InvalidContract, match=r"bundle.json: the file: is not valid JSON: .*recursion"):
        decode("[" * 100_000)


def test_refuses_utf_16(contract: Bundle) -> None:
    with pytest.raises(InvalidContract, match="codec can't decode"):
        decode(encode(contract).encode("utf-16"))


def test_reads_pairs_of_escaped_surrogates(contract: Bundle) -> None:
    text = json.dumps(json.loads(encode(contract._replace(labels=("🌙", "☀")))))
    assert "\\ud83c" in text

    assert decode(text).labels == ("🌙", "☀")


@pytest.mark.parametrize("version", [1, 3, "2", 2.0, True, None])
def test_refuses_another_schema(contract: Bundle, version: object) -> None:
    document = json.loads(encode(contract)) | {"schema": version, "new": "key"}

    with pytest.raises(UnknownSchema) as caught:
        decode(json.dumps(document))

    assert (caught.value.found, caught.value.known) == (version, 2)


def set_to(path: str, value: object) -> Change:
    """Return a change of the document: `set_to("outputs.0.role", None)`."""

    def change(document: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        inner: Any = document
        for key in parents:
            inner = inner[int(key)] if isinstance(inner, list) else inner[key]
        inner[int(last) if isinstance(inner, list) else last] = value

    return change


def drop(key: str) -> Change:
    return lambda document: document.pop(key)


ROLES = "expected one of label, scores, value, embedding, got "
TENSOR = {"name": "features", "datatype": "FP32", "shape": [-1]}


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (drop("labels"), "labels", "is missing"),
        (set_to("colour", "red"), "colour", "is not a key of the contract"),
        (set_to("source/colour", "red"), "source.colour", "is not a key of the contract"),
        (set_to("inputs/0/colour", "red"), "inputs[0].colour", "is not a key of the contract"),
        (set_to("tolerance/label/colour", 1), "tolerance.label.colour", "is not a key of the contract"),
        (
            set_to("name", "../x"),
            "name",
            f'expected {MODEL_NAME.expected}, got "../x"',
        ),
        (set_to("version", 0), "version", "expected an integer of at least 1, got 0"),
        (set_to("version", True), "version", "expected an integer, got true"),
        (set_to("version", "3"), "version", 'expected an integer, got "3"'),
        (set_to("version", 2**53), "version", "expected an integer, got 9007199254740992"),
        (set_to("created", "today"), "created", 'expected a moment in UTC like 2026-11-21T01:02:03Z, got "today"'),
        (set_to("source", None), "source", "expected an object, got null"),
        (set_to("source/framework", 3), "source.framework", "expected a string, got 3"),
        (set_to("source/git", 3), "source.git", "expected a string, got 3"),
        (set_to("inputs", {}), "inputs", "expected a list, got {}"),
        (set_to("inputs", []), "inputs", "expected at least 1 items, got 0"),
        (set_to("inputs/0", "features"), "inputs[0]", 'expected an object, got "features"'),
        (
            set_to("inputs/0/name", ""),
            "inputs[0].name",
            'expected 1 to 500 characters without control characters, got ""',
        ),
        (set_to("inputs/0/role", "label"), "inputs[0].role", "is only allowed for outputs"),
        (set_to("inputs", [TENSOR, TENSOR]), "inputs[1].name", '"features" is duplicated'),
        (
            set_to("inputs/0/datatype", "FLOAT"),
            "inputs[0].datatype",
            "expected one of BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, FP32, FP64, BYTES, "
            'got "FLOAT"',
        ),
        (set_to("inputs/0/shape/1", -2), "inputs[0].shape[1]", "expected an integer of at least -1, got -2"),
        (set_to("inputs/0/shape", [1] * 9), "inputs[0].shape", "expected 0 to 8 items, got 9"),
        (set_to("outputs/0/role", "guess"), "outputs[0].role", ROLES + '"guess"'),
        (set_to("labels", "ab"), "labels", 'expected a list, got "ab"'),
        (set_to("labels", []), "labels", "expected at least 1 items, got 0"),
        (set_to("labels", ["ac", "ac"]), "labels", "'ac' is duplicated"),
        (set_to("labels", ["a", "b", "c"]), "labels", "expected 2, one for each score, got 3"),
        (set_to("labels", ["a"]), "labels", "expected 2, one for each score, got 1"),
        (set_to("labels/1", 1), "labels[1]", "expected a string, got 1"),
        (
            set_to("batching/axis", 1),
            "batching.axis",
            'the shape of "features" in inputs, [-1, 3], is not variable along axis 1; batching must be null',
        ),
        (
            set_to("outputs/0/shape", []),
            "batching.axis",
            'the shape of "label" in outputs, [], is not variable along axis 0; batching must be null',
        ),
        (set_to("batching/max_rows", 0), "batching.max_rows", "expected an integer from 1 to 65536, got 0"),
        (set_to("adapter", {"kind": "sound"}), "adapter.kind", 'expected one of table, image, text, got "sound"'),
        (set_to("adapter", {"kind": "table"}), "adapter.columns", "is missing"),
        (set_to("adapter", {"kind": "text", "input": "a", "code": ""}), "adapter.code", "is not a key of the contract"),
        (
            set_to("session/file", "../model.onnx"),
            "session.file",
            f'expected {FILE_NAME.expected}, got "../model.onnx"',
        ),
        (set_to("session/file", "other.onnx"), "files.other.onnx", "is missing"),
        (set_to("session/intra_op_threads", 1.0), "session.intra_op_threads", "expected an integer, got 1.0"),
        (
            set_to("tolerance/other", {"exact": True}),
            "tolerance.other",
            "is not an output; expected label, probabilities",
        ),
        (set_to("tolerance", {"label": {"exact": True}}), "tolerance.probabilities", "is missing"),
        (
            set_to("tolerance/label", {"exact": True, "rtol": 1}),
            "tolerance.label",
            "expected exact, or rtol and atol, got both",
        ),
        (
            set_to("tolerance/probabilities", {"columns": [1, 2, 3]}),
            "tolerance.probabilities.columns",
            "expected one for each column of [-1, 2] and no atol, got 3",
        ),
        (set_to("tolerance/label", {"rtol": -1}), "tolerance.label.rtol", "expected a number of at least 0, got -1"),
        (set_to("evidence", []), "evidence", "expected an object, got []"),
        (
            set_to("files/model.onnx", "md5:0"),
            "files.model.onnx",
            'expected sha256: and 64 hexadecimal digits, got "md5:0"',
        ),
        (set_to("files", {"model.onnx": "sha256:" + "0" * 64}), "files.samples.npz", "is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "",
)
def test_names_the_field_that_does_not_fit(contract: Bundle, change: Change, field: str, problem: str) -> None:
    document = json.loads(encode(contract))
    change(document)

    with pytest.raises(InvalidContract) as caught:
        decode(json.dumps(document))

    assert (caught.value.field, caught.value.problem) == (field, problem)


NAMES = ["../x", "/etc/passwd", "a/b", "..", ".hidden", "-rf", "a\n", "ä", "", "x" * 201, "bundle.json"]


@pytest.mark.parametrize("name", NAMES)
def test_refuses_file_names_that_could_leave_the_folder(contract: Bundle, name: str) -> None:
    document = json.loads(encode(contract))
    document["files"][name] = "sha256:" + "0" * 64

    with pytest.raises(InvalidContract, match="expected a file name of"):
        decode(json.dumps(document))


def test_shows_no_more_of_a_long_value_than_its_beginning(contract: Bundle) -> None:
    document = json.loads(encode(contract)) | {"created": "x" * 10_000}

    with pytest.raises(InvalidContract) as caught:
        decode(json.dumps(document))

    assert str(caught.value).endswith(f'got "{"x" * 56}...')


def test_keeps_unknown_keys_inside_evidence_and_profile(contract: Bundle) -> None:
    document = json.loads(encode(contract))
    document["evidence"]["fairness"] = {"by": ["age"]}
    document["profile"]["run"][0]["joules"] = 0.1

    assert json.loads(encode(decode(json.dumps(document)))) == document


@pytest.mark.parametrize(
    ("evidence", "place"),
    [
        ({"parity": {"worst": float("nan")}}, "evidence.parity.worst"),
        ({"x": {"max": [1.0, float("inf")]}}, "evidence.x.max[1]"),
        ({"candidates": [{"drop": np.float32(0.5)}]}, "evidence.candidates[0].drop"),
        ({"rows": {1, 2}}, "evidence.rows"),
        ({"by": {("a", "b"): 1}}, "evidence.by"),
    ],
)
def test_names_the_value_without_a_json_form(contract: Bundle, evidence: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidContract) as caught:
        encode(contract._replace(evidence=evidence))

    assert caught.value.field == place
    assert caught.value.problem.endswith("has no JSON form")


@pytest.mark.parametrize(
    ("shapes", "labels"),
    [
        ([(-1, 1)], ("no", "yes")),
        ([(-1, 1)], ("only",)),
        ([(-1, -1)], ("a", "b", "c")),
        ([()], ("a", "b", "c")),
        ([(-1, 2), (-1, 3)], ("a", "b", "c")),
        ([(-1, 4, 3)], ("a", "b", "c")),
        ([], ("a", "b", "c")),
    ],
)
def test_allows_labels_that_may_go_with_the_scores(
    contract: Bundle, shapes: list[tuple[int, ...]], labels: tuple[str, ...]
) -> None:
    scores = tuple(Tensor(f"scores{i}", "FP32", shape, "scores") for i, shape in enumerate(shapes))
    outputs = (Tensor("label", "INT64", (-1,), "label"), *scores)
    tolerance = {tensor.name: Tolerance(exact=True) for tensor in outputs}

    bundle = contract._replace(outputs=outputs, tolerance=tolerance, labels=labels, batching=None)

    assert decode(encode(bundle)).labels == labels


def test_allows_any_shape_without_batching(contract: Bundle) -> None:
    inputs = (Tensor("x", "FP32", ()), Tensor("y", "INT64", (3, -1)))

    assert decode(encode(contract._replace(inputs=inputs, batching=None))).inputs == inputs
