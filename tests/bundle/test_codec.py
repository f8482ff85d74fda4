import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.bundle.codec import decode, encode
from snooze.bundle.contract import Bundle, Evidence, Run, Tensor, Tolerance
from snooze.bundle.errors import BundleError, InvalidContract, UnknownSchema

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

    assert '  "schema": 1,' in lines
    assert '        "seconds": 1.1e-05,' in lines


def test_is_immutable(contract: Bundle) -> None:
    with pytest.raises(FrozenInstanceError):
        contract.version = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("{", "is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ('{"a": 1, "a": 2}', "is not JSON: key 'a' stands twice"),
        ('{"schema": 1, "evidence": {"b": 1, "b": 1}}', "is not JSON: key 'b' stands twice"),
        ('{"a": NaN}', "is not JSON: NaN is not JSON"),
        ('{"a": -Infinity}', "is not JSON: -Infinity is not JSON"),
        ('{"a": 1e999}', "is not JSON: 1e999 is too large a number"),
        (
            '{"a": "\\ud800"}',
            r"is not JSON: 'utf-8' codec can't encode character '\ud800' in position 7: surrogates not allowed",
        ),
        (b'{"a": "\xff"}', "is not JSON: 'utf-8' codec can't decode byte 0xff in position 7: invalid start byte"),
        ("[]", "expected an object, got []"),
        ("3", "expected an object, got 3"),
    ],
)
def test_says_why_a_text_is_no_contract(text: str | bytes, problem: str) -> None:
    with pytest.raises(InvalidContract) as caught:
        decode(text)

    assert str(caught.value) == f"bundle.json: the file: {problem}"


def test_refuses_nesting_without_end() -> None:
    with pytest.raises(InvalidContract, match=r"bundle.json: the file: is not JSON: .*recursion"):
        decode("[" * 100_000)


def test_refuses_utf_16(contract: Bundle) -> None:
    with pytest.raises(InvalidContract, match="codec can't decode"):
        decode(encode(contract).encode("utf-16"))


def test_reads_pairs_of_escaped_surrogates(contract: Bundle) -> None:
    text = json.dumps(json.loads(encode(replace(contract, labels=("🌙", "☀")))))
    assert "\\ud83c" in text

    assert decode(text).labels == ("🌙", "☀")


@pytest.mark.parametrize("version", [2, 0, "1", 1.0, True, None])
def test_refuses_another_schema(contract: Bundle, version: object) -> None:
    document = json.loads(encode(contract)) | {"schema": version, "new": "key"}

    with pytest.raises(UnknownSchema) as caught:
        decode(json.dumps(document))

    assert (caught.value.found, caught.value.known) == (version, 1)
    assert str(caught.value) == (
        f"bundle.json: schema version {version!r} is not supported, this version of Snooze reads 1; "
        "convert the model again, or use the version of Snooze that wrote the bundle"
    )


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


TENSOR = {"name": "features", "datatype": "FP32", "shape": [-1]}


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (drop("schema"), "schema", "is missing"),
        (drop("labels"), "labels", "is missing"),
        (set_to("colour", "red"), "colour", "is not a key of the contract"),
        (set_to("source/colour", "red"), "source.colour", "is not a key of the contract"),
        (set_to("inputs/0/colour", "red"), "inputs[0].colour", "is not a key of the contract"),
        (set_to("session/colour", "red"), "session.colour", "is not a key of the contract"),
        (set_to("batching/colour", "red"), "batching.colour", "is not a key of the contract"),
        (set_to("tolerance/label/colour", 1), "tolerance.label.colour", "is not a key of the contract"),
        (
            set_to("name", "../x"),
            "name",
            'expected 1 to 100 of A-Z a-z 0-9 . _ -, with a letter or digit at both ends, got "../x"',
        ),
        (set_to("version", 0), "version", "expected a whole number from 1 to 9007199254740991, got 0"),
        (set_to("version", True), "version", "expected a whole number from 1 to 9007199254740991, got true"),
        (set_to("version", "3"), "version", 'expected a whole number from 1 to 9007199254740991, got "3"'),
        (set_to("created", "today"), "created", 'expected a moment in UTC like 2026-11-21T01:02:03Z, got "today"'),
        (set_to("source", None), "source", "expected an object, got null"),
        (set_to("source/framework", 3), "source.framework", "expected a text, got 3"),
        (set_to("source/git", 3), "source.git", "expected a text or null, got 3"),
        (set_to("inputs", {}), "inputs", "expected a list, got {}"),
        (set_to("inputs", []), "inputs", "is empty"),
        (set_to("inputs/0", "features"), "inputs[0]", 'expected an object, got "features"'),
        (
            set_to("inputs/0/name", ""),
            "inputs[0].name",
            'expected 1 to 500 characters, none of them a control character, got ""',
        ),
        (set_to("inputs/0/role", "label"), "inputs[0].role", "only outputs have a role"),
        (set_to("inputs", [TENSOR, TENSOR]), "inputs[1].name", "'features' stands twice"),
        (
            set_to("inputs/0/datatype", "FLOAT"),
            "inputs[0].datatype",
            "expected one of BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, FP32, FP64, BYTES, "
            'got "FLOAT"',
        ),
        (
            set_to("inputs/0/shape/1", -2),
            "inputs[0].shape[1]",
            "expected a whole number from -1 to 9007199254740991, got -2",
        ),
        (set_to("inputs/0/shape", [1] * 9), "inputs[0].shape", "expected at most 8 dimensions, got 9"),
        (
            set_to("outputs/0/role", None),
            "outputs[0].role",
            "expected one of label, scores, value, embedding, got null",
        ),
        (
            set_to("task", "guess"),
            "task",
            'expected one of classification, regression, clustering, outliers, transform, got "guess"',
        ),
        (set_to("labels", "ab"), "labels", 'expected a list or null, got "ab"'),
        (set_to("labels", []), "labels", "is empty; a model without classes has null"),
        (set_to("labels", ["ac", "ac"]), "labels[1]", '"ac" stands twice'),
        (set_to("labels", ["a", "b", "c"]), "labels", "there are 3, but 2 scores a row"),
        (set_to("labels", ["a"]), "labels", "there are 1, but 2 scores a row"),
        (set_to("labels/1", 1), "labels[1]", "expected a text, got 1"),
        (set_to("batching", 64), "batching", "expected an object, got 64"),
        (
            set_to("batching/axis", 1),
            "batching.axis",
            "input 'features' has shape [-1, 3], which is not variable along it; batching must be null",
        ),
        (
            set_to("outputs/0/shape", []),
            "batching.axis",
            "output 'label' has shape [], which is not variable along it; batching must be null",
        ),
        (set_to("batching/max_rows", 0), "batching.max_rows", "expected a whole number from 1 to 65536, got 0"),
        (set_to("adapter", {"kind": "code"}), "adapter.kind", 'expected one of image, text, table, got "code"'),
        (set_to("adapter", {}), "adapter.kind", "is missing"),
        (
            set_to("session/file", "../model.onnx"),
            "session.file",
            'expected 1 to 200 of A-Z a-z 0-9 . _ -, not beginning with . or -, got "../model.onnx"',
        ),
        (set_to("session/file", "other.onnx"), "session.file", "'other.onnx' is not in files"),
        (set_to("session/optimization", "some"), "session.optimization", 'expected one of none, all, got "some"'),
        (
            set_to("session/intra_op_threads", 1.0),
            "session.intra_op_threads",
            "expected a whole number from 1 to 1024, got 1.0",
        ),
        (
            set_to("tolerance/other", {"exact": True}),
            "tolerance.other",
            "no such output; there are: label, probabilities",
        ),
        (set_to("tolerance", {"label": {"exact": True}}), "tolerance", "output 'probabilities' has none"),
        (set_to("tolerance/label/exact", False), "tolerance.label.exact", "expected true, or rtol and atol instead"),
        (set_to("tolerance/label", {"rtol": 1}), "tolerance.label.atol", "is missing"),
        (
            set_to("tolerance/label", {"rtol": -1, "atol": 0}),
            "tolerance.label.rtol",
            "expected a number of at least 0, got -1",
        ),
        (set_to("evidence/data", "some"), "evidence.data", 'expected one of given, labelled, synthetic, got "some"'),
        (set_to("evidence/parity", []), "evidence.parity", "expected an object, got []"),
        (set_to("evidence/candidates/0", 3), "evidence.candidates[0]", "expected an object, got 3"),
        (set_to("profile/run/0/rows", 0), "profile.run[0].rows", "expected a whole number from 1 to 65536, got 0"),
        (
            set_to("profile/run/1/seconds", "1 s"),
            "profile.run[1].seconds",
            'expected a number of at least 0, got "1 s"',
        ),
        (
            set_to("files/a~1b", "sha256:" + "0" * 64),
            "files.a~1b",
            "expected a file in the bundle's own folder: 1 to 200 of A-Z a-z 0-9 . _ -, not beginning with . or -",
        ),
        (
            set_to("files/bundle.json", "sha256:" + "0" * 64),
            "files.bundle.json",
            "the contract cannot hold its own hash",
        ),
        (
            set_to("files/model.onnx", "md5:0"),
            "files.model.onnx",
            'expected sha256: and 64 hexadecimal digits, got "md5:0"',
        ),
        (set_to("files", {"model.onnx": "sha256:" + "0" * 64}), "files.samples.npz", "is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "",
)
def test_names_what_does_not_fit(contract: Bundle, change: Change, field: str, problem: str) -> None:
    document = json.loads(encode(contract))
    change(document)

    with pytest.raises(InvalidContract) as caught:
        decode(json.dumps(document))

    assert (caught.value.field, caught.value.problem) == (field, problem)
    assert str(caught.value) == f"bundle.json: {field}: {problem}"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "..", ".hidden", "-rf", "a\n", "ä", "", "x" * 201])
def test_refuses_file_names_that_could_leave_the_folder(contract: Bundle, name: str) -> None:
    document = json.loads(encode(contract))
    document["files"][name] = "sha256:" + "0" * 64

    with pytest.raises(InvalidContract, match="expected a file in the bundle's own folder"):
        decode(json.dumps(document))


def test_shows_no_more_of_a_long_value_than_its_beginning(contract: Bundle) -> None:
    document = json.loads(encode(contract)) | {"created": "x" * 10_000}

    with pytest.raises(InvalidContract) as caught:
        decode(json.dumps(document))

    assert str(caught.value).endswith(f'got "{"x" * 56}...')


def test_keeps_keys_it_does_not_know_inside_evidence_and_profile(contract: Bundle) -> None:
    document = json.loads(encode(contract))
    document["evidence"]["fairness"] = {"by": ["age"]}
    document["profile"]["watts"] = 3
    document["profile"]["run"][0]["joules"] = 0.1

    bundle = decode(json.dumps(document))

    assert bundle.evidence.more == {"surprise": {"kept": True}, "fairness": {"by": ["age"]}}
    assert bundle.profile.more == {"interpreter_seconds": 0.052, "watts": 3}
    assert bundle.profile.run[0].more == {"joules": 0.1}
    assert json.loads(encode(bundle)) == document


@pytest.mark.parametrize(
    ("evidence", "problem"),
    [
        (Evidence("given", parity={"worst": float("nan")}), "evidence.parity.worst: nan (float) has no JSON form"),
        (
            Evidence("given", statistics={"x": {"max": [1.0, float("inf")]}}),
            "evidence.statistics.x.max[1]: inf (float)",
        ),
        (Evidence("given", candidates=({"drop": np.float32(0.5)},)), "evidence.candidates[0].drop: np.float32(0.5)"),
        (Evidence("given", evaluation={"rows": {1, 2}}), "evidence.evaluation.rows: {1, 2} (set) has no JSON form"),
        (Evidence("given", more={"by": {("a", "b"): 1}}), "evidence.by: ('a', 'b') (tuple) has no JSON form"),
    ],
)
def test_says_what_has_no_json_form(contract: Bundle, evidence: Evidence, problem: str) -> None:
    with pytest.raises(InvalidContract) as caught:
        encode(replace(contract, evidence=evidence))

    assert str(caught.value).startswith(f"bundle.json: {problem}")


def test_reads_whole_numbers_as_times(contract: Bundle) -> None:
    profile = replace(contract.profile, run=(Run(1, 1, 0, 10**20),))

    (run,) = decode(encode(replace(contract, profile=profile))).profile.run

    assert (run.seconds, type(run.seconds), run.cpu_seconds) == (1.0, float, 1e20)


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

    bundle = replace(contract, outputs=outputs, tolerance=tolerance, labels=labels, batching=None)

    assert decode(encode(bundle)).labels == labels


def test_several_outputs_of_scores_are_named_by_their_widths(contract: Bundle) -> None:
    outputs = tuple(Tensor(f"scores{width}", "FP32", (-1, width), "scores") for width in (2, 4))
    tolerance = {tensor.name: Tolerance(exact=True) for tensor in outputs}

    with pytest.raises(InvalidContract, match="labels: there are 3, but 2 or 4 scores a row"):
        decode(encode(replace(contract, outputs=outputs, tolerance=tolerance, labels=("a", "b", "c"))))


def test_allows_any_shape_where_requests_are_never_joined(contract: Bundle) -> None:
    inputs = (Tensor("x", "FP32", ()), Tensor("y", "INT64", (3, -1)))

    assert decode(encode(replace(contract, inputs=inputs, batching=None))).inputs == inputs
