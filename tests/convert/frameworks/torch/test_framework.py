import io
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from snooze.bundle.errors import MissingExtra
from snooze.convert import convert as publish
from snooze.convert.attempts import Conversion
from snooze.convert.errors import NotAModel, Untrusted
from snooze.convert.frameworks.interface import Framework, Hints, Original
from snooze.convert.frameworks.torch.framework import FRAMEWORK
from snooze.convert.source import recognize_file

Convert = Callable[..., tuple[Original, Conversion]]
NUMBERS = np.random.default_rng(7).normal(size=(6, 3))
IDS = np.random.default_rng(7).integers(0, 50, (6, 8))
MEMBERS = {
    "script": {"m/constants.pkl": b"", "m/code/__torch__.py": b"torch.relu(x)"},
    "reaching": {"m/constants.pkl": b"", "m/code/__torch__.py": b"torch.save(x, 'file')"},
    "program": {"m/archive_format": b"pt2", "m/byteorder": b"little"},
    "weights": {"m/data.pkl": b"\x80\x02ccollections\nOrderedDict\n)R."},
    "module": {"m/data.pkl": b"\x80\x02cmynet\nNet\n)R."},
}
quiet_torch = pytest.mark.filterwarnings("ignore")  # PyTorch warns of its own calls


@pytest.fixture
def convert(converter: Callable[[Framework], Convert]) -> Convert:
    return converter(FRAMEWORK)


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Path]:
    """Write a file like those of PyTorch, with nothing in it."""

    def make(kind: str) -> Path:
        with zipfile.ZipFile(tmp_path / "model", "w") as archive:
            for name, content in MEMBERS[kind].items():
                archive.writestr(name, content)
        return tmp_path / "model"

    return make


@pytest.mark.parametrize("kind", MEMBERS)
def test_files_are_recognized_without_pytorch(made: Callable[[str], Path], kind: str) -> None:
    path = made(kind)

    assert recognize_file(path) is FRAMEWORK
    assert FRAMEWORK.needs_trust(path) is (kind in ("reaching", "program", "module"))


@pytest.mark.framework
@pytest.mark.parametrize("kind", ["script", "program", "module"])
def test_names_the_missing_extra(made: Callable[[str], Path], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(MissingExtra) as caught:
        FRAMEWORK.load(made(kind), trust=True)

    assert (caught.value.module, caught.value.extra) == ("torch", "torch")


@pytest.mark.parametrize("kind", ["reaching", "program", "module"])
def test_nothing_that_runs_code_is_read_without_trust(made: Callable[[str], Path], kind: str) -> None:
    with pytest.raises(Untrusted, match="add --trust"):
        FRAMEWORK.load(made(kind))


def test_weights_are_refused_with_what_to_save(made: Callable[[str], Path]) -> None:
    with pytest.raises(NotAModel, match=r"contains weights without their network; save both: torch\.export\.save"):
        FRAMEWORK.load(made("weights"), trust=True)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04half of it")

    assert recognize_file(tmp_path / "model.pt") is FRAMEWORK
    with pytest.raises(NotAModel, match="is not a file of PyTorch, or is damaged"):
        FRAMEWORK.load(tmp_path / "model.pt")


def test_objects_are_recognized_without_pytorch() -> None:
    network = type("Net", (), {"__module__": "torch.nn"})
    keras = type("Net", (network,), {"__module__": "keras.src"})  # on PyTorch

    assert FRAMEWORK.recognizes(network())
    assert not any(map(FRAMEWORK.recognizes, (object(), keras(), {}, {"a": 1}, [])))


@pytest.mark.torch
@quiet_torch
class TestWithPyTorch:
    """Everything that loads or converts a real model."""

    def test_a_convolution_classifies_in_logarithms(self, torch: ModuleType, convert: Convert) -> None:
        nn = torch.nn
        layers = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(72, 4)
        rows = np.random.default_rng(7).normal(size=(9, 1, 8, 8))

        original, conversion = convert(nn.Sequential(*layers, nn.LogSoftmax(1)), rows)

        assert [(one.name, one.datatype, one.shape) for one in conversion.inputs] == [("input", "FP32", (-1, 1, 8, 8))]
        assert [(one.name, one.shape, one.role) for one in conversion.outputs] == [("scores", (-1, 4), "scores")]
        assert (original.task, original.decides, original.framework) == ("classification", "scores", "torch")
        assert conversion.parity.data.worst < 1e-5

    def test_a_recurrent_network_of_any_length(self, models: ModuleType, convert: Convert) -> None:
        original, conversion = convert(models.Words().train(), IDS, labels=IDS[:, 0] % 3)

        assert [(one.name, one.datatype, one.shape) for one in conversion.inputs] == [("words", "INT64", (-1, -1))]
        assert [(one.name, one.role) for one in conversion.outputs] == [("scores", "scores")]
        assert original.task == "classification"

    @pytest.mark.parametrize("squeezed", [False, True])
    def test_a_single_sigmoid_becomes_two_columns(self, torch: ModuleType, convert: Convert, squeezed: bool) -> None:
        layers = [torch.nn.Linear(3, 1), *([torch.nn.Flatten(0)] if squeezed else []), torch.nn.Sigmoid()]
        original, conversion = convert(torch.nn.Sequential(*layers), NUMBERS)

        assert [(one.name, one.shape) for one in conversion.outputs] == [("probabilities", (-1, 2))]
        assert (original.task, original.classes) == ("classification", (0, 1))

    def test_a_squeezed_column_is_a_value(self, torch: ModuleType, convert: Convert) -> None:
        original, conversion = convert(torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0)), NUMBERS)

        assert [(one.name, one.shape, one.role) for one in conversion.outputs] == [("value", (-1,), "value")]
        assert original.task == "regression"

    def test_several_inputs_and_the_task_that_is_asked_for(self, models: ModuleType, convert: Convert) -> None:
        rows = {"weight": NUMBERS[:, :2], "height": NUMBERS}
        _, conversion = convert(models.Two(), rows)

        inputs = FRAMEWORK.signature(models.Two(), rows)
        asked = FRAMEWORK.describe(models.Two(), inputs, Hints(task="transform"))

        assert [one.name for one in conversion.inputs] == ["height", "weight"]
        assert (asked.task, dict(asked.roles)) == ("transform", {"embedding": "embedding"})

    def test_answers_by_name_keep_their_names(self, models: ModuleType, convert: Convert) -> None:
        original, conversion = convert(models.Answers(), NUMBERS)

        assert [(one.name, one.shape, one.role) for one in conversion.outputs] == [
            ("kind", (-1, 4), "scores"),
            ("x_output", (-1, 3), None),
            ("parts_0", (-1, 3), None),
            ("parts_1", (2, -1, 3), None),
        ]
        assert original.axes == {"kind": 0, "x_output": 0, "parts_0": 0, "parts_1": 1}

    def test_rows_are_answered_in_the_precision_of_the_server(self, torch: ModuleType) -> None:
        model = torch.nn.Linear(3, 1).double()
        inputs = FRAMEWORK.signature(model.float(), {"": NUMBERS})
        original = FRAMEWORK.describe(model, inputs)

        many = np.repeat(NUMBERS, 100, 0)  # more than are given to the network at once

        np.testing.assert_array_equal(
            original.run({"input": many})["value"], model(torch.tensor(many, dtype=torch.float32)).detach().numpy()
        )
        assert not np.isfinite(original.run({"input": NUMBERS * 1e300})["value"]).any()

    def test_a_cast_model_says_so(self, torch: ModuleType, convert: Convert) -> None:
        _, conversion = convert(torch.nn.Linear(3, 1).half(), NUMBERS)

        assert conversion.parity.attempt == "torch.export, cast from float16"

    @pytest.mark.parametrize("make", ["trace", "script"])
    def test_reads_torchscript(
        self, torch: ModuleType, models: ModuleType, convert: Convert, tmp_path: Path, make: str
    ) -> None:
        model = models.Bag().eval()
        saved = torch.jit.trace(model, torch.tensor(IDS)) if make == "trace" else torch.jit.script(model)
        saved.save(str(tmp_path / "m.pt"))

        assert not FRAMEWORK.needs_trust(tmp_path / "m.pt")
        loaded = FRAMEWORK.load(tmp_path / "m.pt").model
        original, conversion = convert(loaded, IDS)

        assert FRAMEWORK.recognizes(loaded)
        assert (original.model, original.task) == ("Bag", "classification")
        assert [(one.name, one.shape) for one in conversion.inputs] == [("words", (-1, -1))]
        assert [(one.name, one.shape) for one in conversion.outputs] == [("probabilities", (-1, 3))]

    def test_reads_an_exported_program(
        self, torch: ModuleType, models: ModuleType, convert: Convert, tmp_path: Path
    ) -> None:
        rows = torch.export.Dim("rows", max=64)
        program = torch.export.export(models.Bag().eval(), (torch.tensor(IDS),), dynamic_shapes=({0: rows},))
        torch.export.save(program, tmp_path / "m.pt2")

        loaded = FRAMEWORK.load(tmp_path / "m.pt2", trust=True).model
        original, conversion = convert(loaded)  # its signature is known, so that no rows are needed

        assert FRAMEWORK.recognizes(loaded)
        assert original.model == "ExportedProgram"
        assert [(one.name, one.datatype, one.shape) for one in conversion.inputs] == [("words", "INT64", (-1, 8))]
        assert [(one.name, one.shape) for one in conversion.outputs] == [("probabilities", (-1, 3))]
        many = {"words": np.tile(IDS, (50, 1))}  # more than the program takes at once
        assert original.run(many)["probabilities"].shape == (300, 3)

    def test_an_exported_program_can_run_code(self, torch: ModuleType, tmp_path: Path) -> None:
        """Which is why it needs trust: PyTorch unpickles parts of it, whatever they contain."""

        class Trap:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return os.mkdir, (str(tmp_path / "sprung"),)

        pickled = io.BytesIO()
        torch.save(Trap(), pickled)
        program = torch.export.export(torch.nn.Linear(3, 1).eval(), (torch.zeros(2, 3),))
        torch.export.save(program, tmp_path / "good.pt2")
        with zipfile.ZipFile(tmp_path / "good.pt2") as good, zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad:
            for member in good.infolist():
                trapped = "sample_inputs" in member.filename
                bad.writestr(member.filename, pickled.getvalue() if trapped else good.read(member))

        with pytest.raises(Untrusted):
            FRAMEWORK.load(tmp_path / "bad.pt2")
        assert not (tmp_path / "sprung").exists()
        with pytest.raises(NotAModel):
            FRAMEWORK.load(tmp_path / "bad.pt2", trust=True)
        assert (tmp_path / "sprung").exists()

    @pytest.mark.parametrize("archive", [True, False])
    def test_reads_a_pickled_module_with_trust(
        self, torch: ModuleType, models: ModuleType, tmp_path: Path, archive: bool
    ) -> None:
        torch.save(models.Bag(), tmp_path / "m.pt", _use_new_zipfile_serialization=archive)

        assert FRAMEWORK.needs_trust(tmp_path / "m.pt")
        assert type(FRAMEWORK.load(tmp_path / "m.pt", trust=True).model) is models.Bag

    @pytest.mark.parametrize("archive", [True, False])
    def test_weights_of_a_real_network_are_refused(self, torch: ModuleType, tmp_path: Path, archive: bool) -> None:
        layer = torch.nn.Linear(3, 1)
        optimizer = torch.optim.Adam(layer.parameters())
        checkpoint = {"model": layer.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
        for content in (layer.state_dict(), checkpoint):
            torch.save(content, tmp_path / "m.pt", _use_new_zipfile_serialization=archive)

            assert not FRAMEWORK.needs_trust(tmp_path / "m.pt")
            with pytest.raises(NotAModel, match="contains weights without their network"):
                FRAMEWORK.load(tmp_path / "m.pt")

    def test_says_which_class_is_missing(
        self, torch: ModuleType, models: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        torch.save(models.Bag(), tmp_path / "m.pt")

        monkeypatch.delattr(models, "Bag")
        with pytest.raises(
            NotAModel, match=r"its class Bag is not in the module that it was saved from; .* or save the"
        ):
            FRAMEWORK.load(tmp_path / "m.pt", trust=True)
        monkeypatch.setitem(sys.modules, models.__name__, None)
        with pytest.raises(
            NotAModel, match=f"its class is in the module '{models.__name__}', which cannot be imported"
        ):
            FRAMEWORK.load(tmp_path / "m.pt", trust=True)

    def test_a_damaged_file_is_refused_in_one_line(self, torch: ModuleType, tmp_path: Path) -> None:
        path = tmp_path / "m.pt"
        torch.jit.script(torch.nn.Linear(3, 1)).save(str(path))
        content = bytearray(path.read_bytes())
        at = content.index(b"data.pkl") + 80
        content[at : at + 60] = bytes(60)
        path.write_bytes(content)

        with pytest.raises(NotAModel) as caught:
            FRAMEWORK.load(path)

        assert caught.value.problem == "is a damaged zip file: Bad CRC-32 for file 'm/data.pkl'"

    def test_a_damaged_program_is_refused_in_one_line(self, torch: ModuleType, tmp_path: Path) -> None:
        program = torch.export.export(torch.nn.Linear(3, 1).eval(), (torch.zeros(2, 3),))
        torch.export.save(program, tmp_path / "good.pt2")
        with zipfile.ZipFile(tmp_path / "good.pt2") as good, zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad:
            for member in good.infolist():
                half = member.filename.endswith("model.json")
                bad.writestr(member.filename, good.read(member)[: 500 if half else None])

        with pytest.raises(NotAModel) as caught:
            FRAMEWORK.load(tmp_path / "bad.pt2", trust=True)

        assert caught.value.problem.startswith("cannot be read: JSONDecodeError: ")
        assert caught.value.problem.endswith(
            f"; it is damaged, or of another version of PyTorch than {torch.__version__}"
        )
        assert caught.value.problem.isprintable()

    def test_a_program_from_a_gpu_is_refused(self, torch: ModuleType, tmp_path: Path) -> None:
        program = torch.export.export(torch.nn.Linear(3, 1).eval(), (torch.zeros(2, 3),))
        torch.export.save(program, tmp_path / "here.pt2")
        with zipfile.ZipFile(tmp_path / "here.pt2") as here, zipfile.ZipFile(tmp_path / "gpu.pt2", "w") as elsewhere:
            for member in here.infolist():
                content = here.read(member)
                if member.filename.endswith(".json"):
                    content = content.replace(b'"type": "cpu", "index": null', b'"type": "cuda", "index": 0')
                elsewhere.writestr(member.filename, content)

        with pytest.raises(NotAModel, match=r"it was exported on a GPU; export it again from model\.cpu\(\)"):
            FRAMEWORK.load(tmp_path / "gpu.pt2", trust=True)

    def test_a_program_without_its_parts_is_refused(self, torch: ModuleType, made: Callable[[str], Path]) -> None:
        with pytest.raises(NotAModel, match=r"cannot be read: .*; it is damaged, or of another version of PyTorch"):
            FRAMEWORK.load(made("program"), trust=True)

    def test_another_pickled_object_is_refused(self, torch: ModuleType, tmp_path: Path) -> None:
        torch.save(np.random.default_rng(7), tmp_path / "m.pt")

        with pytest.raises(NotAModel, match=r"contains a Generator, expected a torch\.nn\.Module"):
            FRAMEWORK.load(tmp_path / "m.pt", trust=True)

    @pytest.mark.process
    def test_a_file_becomes_a_bundle(self, torch: ModuleType, models: ModuleType, tmp_path: Path) -> None:
        torch.jit.script(models.Bag()).save(str(tmp_path / "m.pt"))

        made = publish(tmp_path / "m.pt", name="texts", target=tmp_path / "models", data=IDS, quantize="none")

        assert (made.bundle.source.framework, made.bundle.source.file) == ("torch", "m.pt")
        assert [(one.name, one.datatype, one.shape) for one in made.bundle.inputs] == [("words", "INT64", (-1, -1))]

    def test_a_state_dict_is_recognized_to_be_refused(self, torch: ModuleType) -> None:
        weights = torch.nn.Linear(3, 1).state_dict()

        assert FRAMEWORK.recognizes(weights)
        with pytest.raises(NotAModel, match="contains weights without their network"):
            FRAMEWORK.signature(weights, {"": NUMBERS})
