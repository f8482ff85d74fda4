from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.knative.bundles import a_bundle, size_of

from snooze.bundle.errors import InvalidOption
from snooze.knative.errors import NotWritable
from snooze.knative.manifest.options import Options
from snooze.knative.rollout.deployment import Deployment, prepare

IMAGE = "registry.example.com/tumour:3"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def a_deployment(**changes: Any) -> Deployment:
    bundle = a_bundle()
    return prepare(bundle, "sha256:0", size_of(bundle, 50), Options(**{"image": IMAGE, "name": "tumour", **changes}))


def test_writes_the_manifest_to_a_file_with_the_name_of_the_service() -> None:
    deployment = a_deployment()

    assert deployment.write(None) == Path("tumour.yaml")
    assert yaml.safe_load(Path("tumour.yaml").read_text()) == deployment.manifest


def test_overwrites_its_own_file_and_leaves_no_other() -> None:
    a_deployment().write("service.yaml")
    a_deployment(min_scale=1).write("service.yaml")

    assert 'min-scale: "1"' in Path("service.yaml").read_text()
    assert [path.name for path in Path.cwd().iterdir()] == ["service.yaml"]


def test_standard_output_is_no_file() -> None:
    assert a_deployment().write("-") is None
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("content", [b"apiVersion: v1\n", b"\xff\xfe"])
def test_does_not_overwrite_a_file_of_others(content: bytes) -> None:
    Path("tumour.yaml").write_bytes(content)

    with pytest.raises(NotWritable) as caught:
        a_deployment().write(None)

    assert caught.value.problem == "it exists and was not written by snooze deploy"
    assert Path("tumour.yaml").read_bytes() == content


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("no/such/folder.yaml", "No such file or directory"),
        (".", "it is not a regular file; - stands for standard output"),
        ("/dev/zero", "it is not a regular file; - stands for standard output"),
    ],
)
def test_reports_where_it_cannot_write(output: str, problem: str) -> None:
    with pytest.raises(NotWritable) as caught:
        a_deployment().write(output)

    assert (caught.value.path, caught.value.problem) == (Path(output), problem)


def test_refuses_fewer_pods_than_the_load_needs() -> None:
    bundle = a_bundle()

    with pytest.raises(InvalidOption) as caught:
        prepare(bundle, "sha256:0", size_of(bundle, 1e6), Options(IMAGE, "tumour", max_scale=1))

    assert caught.value.option == "--max-scale"
    assert caught.value.problem.startswith("1e+06 requests/s need ")


def test_no_limit_of_pods_is_enough_for_any_load() -> None:
    bundle = a_bundle()

    prepare(bundle, "sha256:0", size_of(bundle, 1e6), Options(IMAGE, "tumour", max_scale=0))
