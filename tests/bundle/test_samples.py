import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from snooze.bundle.contract import Bundle, Tensor, Tolerance
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidSamples, OutsideFolder
from snooze.bundle.samples import Sample, matches, read_samples, write_samples

Array = NDArray[Any]


def signature(contract: Bundle, *inputs: Tensor) -> Bundle:
    """Return a contract with these inputs and one output `y`, whose requests are never joined."""
    outputs = (Tensor("y", "FP32", (-1,)),)
    return contract._replace(inputs=inputs, outputs=outputs, batching=None, tolerance={"y": Tolerance()})


def stored(folder: Path, bundle: Bundle, *inputs: Array) -> Sample:
    """Write one case and read it again."""
    named = {tensor.name: array for tensor, array in zip(bundle.inputs, inputs, strict=True)}
    write_samples(folder / "samples.npz", [Sample(named, {"y": np.zeros(2, np.float32)})])
    (sample,) = read_samples(folder, bundle)
    return sample


NUMERIC = [name for name in DATATYPES if name != "BYTES"]


@given(st.data())
def test_reads_what_it_wrote(tmp_path_factory: pytest.TempPathFactory, contract: Bundle, data: st.DataObject) -> None:
    datatype = data.draw(st.sampled_from(NUMERIC))
    array = data.draw(npst.arrays(DATATYPES[datatype], npst.array_shapes(min_dims=0, min_side=0)))
    variable = tuple(data.draw(st.sampled_from([size, -1])) for size in array.shape)

    read = stored(tmp_path_factory.mktemp("x"), signature(contract, Tensor("x", datatype, variable)), array)

    assert read.inputs["x"].dtype == array.dtype
    assert read.inputs["x"].shape == array.shape
    assert read.inputs["x"].tobytes() == array.tobytes()


@given(st.data())
def test_reads_the_texts_it_wrote(
    tmp_path_factory: pytest.TempPathFactory, contract: Bundle, data: st.DataObject
) -> None:
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    array = data.draw(
        npst.arrays(object, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), elements=texts)
    )
    shape = tuple(data.draw(st.sampled_from([size, -1])) for size in array.shape)

    read = stored(tmp_path_factory.mktemp("x"), signature(contract, Tensor("x", "BYTES", shape)), array)

    assert read.inputs["x"].dtype == object
    assert read.inputs["x"].tolist() == array.tolist()


@pytest.mark.parametrize(
    ("shape", "array"),
    [
        ((-1,), np.array([], object)),
        ((-1, 3), np.empty((0, 3), object)),
        ((-1, 0), np.empty((0, 0), object)),
        ((), np.array("one", object)),
        ((2,), np.array(["a", "b"])),
    ],
)
def test_keeps_the_shape_of_texts(tmp_path: Path, contract: Bundle, shape: tuple[int, ...], array: Array) -> None:
    read = stored(tmp_path, signature(contract, Tensor("x", "BYTES", shape)), array)

    assert read.inputs["x"].shape == array.shape
    assert read.inputs["x"].tolist() == array.tolist()


def test_keeps_nan_infinity_and_zero_rows(tmp_path: Path, contract: Bundle) -> None:
    bundle = signature(contract, Tensor("a", "FP32", (-1,)), Tensor("b", "FP64", (-1, 4)))

    read = stored(tmp_path, bundle, np.array([np.nan, np.inf, -0.0], np.float32), np.empty((0, 4)))

    assert repr(read.inputs["a"].tolist()) == "[nan, inf, -0.0]"
    assert read.inputs["b"].shape == (0, 4)


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros(2, np.complex64), "'0/in/x' has dtype complex64, which the Open"),
        (np.zeros(2, ">f4"), "'0/in/x' has dtype >f4, which the Open"),
        (np.zeros(2, "M8[s]"), "'0/in/x' has dtype datetime64[s], which the Open"),
        (
            np.lib.stride_tricks.as_strided(np.zeros(1), (9_000_000,), (0,)),
            "72000008 bytes exceed the limit of 67108864",
        ),
    ],
)
def test_refuses_to_write_what_could_not_be_served(tmp_path: Path, array: Array, problem: str) -> None:
    path = tmp_path / "samples.npz"

    with pytest.raises(InvalidSamples) as caught:
        write_samples(path, [Sample({"x": array}, {"y": np.zeros(2, np.float32)})])

    assert caught.value.problem.startswith(problem)
    assert not path.exists()


def test_refuses_names_that_meet_in_one_key(tmp_path: Path) -> None:
    inputs = {"x": np.array(["a"], object), "x.utf8": np.zeros(1, np.uint8)}

    with pytest.raises(InvalidSamples, match=r"two tensors would be stored as '0/in/x\.utf8'"):
        write_samples(tmp_path / "samples.npz", [Sample(inputs, {})])


X = np.zeros((4, 3), np.float32)
OUT = {"0/out/label": np.zeros(4, np.int64), "0/out/probabilities": np.zeros((4, 2), np.float32)}


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({}, "contains no samples"),
        ({"0/in/features": X}, "'0/out/label' is missing"),
        ({**OUT}, "'0/in/features' is missing"),
        ({"1/in/features": X, **OUT}, "'0/in/features' is missing"),
        ({"0/in/features": X, **OUT, "2/in/features": X}, "'1/in/features' is missing"),
        ({"0/in/features": X, **OUT, "0/in/more": X}, "'0/in/more' is not in the signature"),
        ({"0/in/features": X.astype(float), **OUT}, "'0/in/features' has dtype float64, the signature says FP32"),
        ({"0/in/features": X.astype(">f4"), **OUT}, "'0/in/features' has dtype >f4, the signature says FP32"),
        ({"0/in/features": X[:, :2], **OUT}, "'0/in/features' has shape [4, 2], the signature says [-1, 3]"),
        ({"0/in/features": X[0], **OUT}, "'0/in/features' has shape [3], the signature says [-1, 3]"),
        ({"0/in/features": X[:3], **OUT}, "case 0 has tensors of [3, 4] rows along axis 0"),
    ],
)
def test_names_what_does_not_fit_the_signature(
    tmp_path: Path, contract: Bundle, arrays: dict[str, Array], problem: str
) -> None:
    np.savez(tmp_path / "samples.npz", allow_pickle=False, **arrays)

    with pytest.raises(InvalidSamples) as caught:
        read_samples(tmp_path, contract)

    assert (caught.value.path, caught.value.problem) == (tmp_path / "samples.npz", problem)


@pytest.mark.parametrize(
    ("utf8", "offsets", "problem"),
    [
        (b"ab", [[1, 1]], "'0/in/x.offsets' does not divide '0/in/x.utf8'"),
        (b"ab", [[3, 2]], "'0/in/x.offsets' does not divide '0/in/x.utf8'"),
        (b"ab", [[-1, 2]], "'0/in/x.offsets' does not divide '0/in/x.utf8'"),
        (b"ab", np.zeros((0, 2)), "'0/in/x.offsets' does not divide '0/in/x.utf8'"),
        ("é".encode(), [[1, 2]], "'0/in/x' is not UTF-8"),
        (b"abc", [1, 2, 3], "'0/in/x' has shape [3], the signature says [-1, 2]"),
    ],
)
def test_names_what_is_wrong_with_texts(
    tmp_path: Path, contract: Bundle, utf8: bytes, offsets: list[int], problem: str
) -> None:
    arrays: dict[str, Array] = {
        "0/in/x.utf8": np.frombuffer(utf8, np.uint8),
        "0/in/x.offsets": np.array(offsets, np.int64),
        "0/out/y": np.zeros(2, np.float32),
    }
    np.savez(tmp_path / "samples.npz", allow_pickle=False, **arrays)

    with pytest.raises(InvalidSamples) as caught:
        read_samples(tmp_path, signature(contract, Tensor("x", "BYTES", (-1, 2))))

    assert caught.value.problem.startswith(problem)


def test_cases_may_have_different_shapes(tmp_path: Path, contract: Bundle) -> None:
    bundle = signature(contract, Tensor("words", "BYTES", (-1, -1)), Tensor("scale", "FP32", ()))
    cases = [
        Sample(
            {"words": np.full((1, length), "é", object), "scale": np.array(length, np.float32)},
            {"y": np.ones(length, np.float32)},
        )
        for length in (3, 1, 0)
    ]
    write_samples(tmp_path / "samples.npz", cases)

    read = read_samples(tmp_path, bundle)

    assert [case.inputs["words"].tolist() for case in read] == [[["é"] * 3], [["é"]], [[]]]
    assert [case.inputs["scale"].item() for case in read] == [3, 1, 0]
    assert [len(case.outputs["y"]) for case in read] == [3, 1, 0]


def test_refuses_pickled_objects(tmp_path: Path, contract: Bundle) -> None:
    np.savez(tmp_path / "samples.npz", allow_pickle=True, **{"0/in/features": np.array([{}], object)})

    with pytest.raises(InvalidSamples, match="'0/in/features' contains pickled objects"):
        read_samples(tmp_path, contract)


def test_refuses_a_small_file_that_would_grow(tmp_path: Path, contract: Bundle) -> None:
    with zipfile.ZipFile(tmp_path / "samples.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0/in/features.npy", bytes(10_000_000))

    with pytest.raises(InvalidSamples, match=r"cannot be read: '0/in/features.npy' is compressed or encrypted"):
        read_samples(tmp_path, contract)


def test_refuses_a_huge_file_without_reading_it_whole(tmp_path: Path, contract: Bundle) -> None:
    with (tmp_path / "samples.npz").open("wb") as file:
        file.truncate(2**40)

    with pytest.raises(InvalidSamples, match=r"cannot be read: it is larger than 68157440 bytes"):
        read_samples(tmp_path, contract)


def test_says_when_there_is_no_file(tmp_path: Path, contract: Bundle) -> None:
    with pytest.raises(InvalidSamples, match=r"samples.npz: cannot be read: No such file or directory"):
        read_samples(tmp_path, contract)


def test_follows_no_link_out_of_the_folder(tmp_path: Path, contract: Bundle) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "samples.npz").symlink_to(tmp_path / "elsewhere.npz")

    with pytest.raises(OutsideFolder):
        read_samples(tmp_path / "bundle", contract)


NAN = float("nan")


@pytest.mark.parametrize(
    ("got", "golden", "tolerance", "expected"),
    [
        ([1.0], [1.0], Tolerance(exact=True), True),
        ([1.0], [1.0 + 1e-6], Tolerance(exact=True), False),
        ([NAN, 1.0], [NAN, 1.0], Tolerance(exact=True), True),
        ([NAN], [1.0], Tolerance(exact=True), False),
        ([NAN], [NAN], Tolerance(rtol=1e-3), True),
        ([NAN], [1.0], Tolerance(rtol=1.0, atol=1.0), False),
        ([np.inf], [np.inf], Tolerance(rtol=1e-3), True),
        ([np.inf], [-np.inf], Tolerance(rtol=1.0), False),
        ([1.1], [1.0], Tolerance(rtol=0.2), True),
        ([1.1], [1.0], Tolerance(atol=0.05), False),
        ([0.1], [0.0], Tolerance(rtol=0.5), False),
        ([[1000.5, 0.1]], [[1000.0, 0.0]], Tolerance(columns=(1.0, 0.01)), False),
        ([[1000.5, 0.1]], [[1000.0, 0.1]], Tolerance(columns=(1.0, 0.01)), True),
        ([7], [8], Tolerance(atol=1.0), True),
        ([7], [9], Tolerance(atol=1.0), False),
        ([2**63 - 1], [2**63 - 2], Tolerance(exact=True), False),
        ([True], [False], Tolerance(atol=1.0), False),
        (["a"], ["a"], Tolerance(atol=1.0), True),
        (["a"], ["b"], Tolerance(exact=True), False),
        ([], [], Tolerance(exact=True), True),
        ([1.0, 2.0], [1.0], Tolerance(atol=9.0), False),
    ],
)
def test_matches(got: list[object], golden: list[object], tolerance: Tolerance, expected: bool) -> None:
    def array(values: list[object]) -> Array:
        return np.array(values, object if any(isinstance(value, str) for value in values) else None)

    assert matches(array(got), array(golden), tolerance) is expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint8])
def test_matches_compares_without_overflow(dtype: type) -> None:
    large: Array = np.array([200], dtype)

    assert matches(large, np.array([100], dtype), Tolerance(rtol=1.0))
    assert not matches(large, np.array([100], dtype), Tolerance(rtol=0.5))
