import asyncio
import gc
import io
import json
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.conftest import DEADLINE, Client, identity, publish, regressor

from snooze.bundle.store import find
from snooze.service.app import Application, create_app
from snooze.service.errors import GoldenMismatch, NotEnoughMemory
from snooze.service.logs import Log
from snooze.service.runtime import reload
from snooze.service.runtime.model import Model
from snooze.service.settings import Settings

WRONG = {"value": np.array([[6], [16]], np.float32)}


class Served:
    """An application, a client of it, and its log."""

    def __init__(self, *paths: Path, **settings: Any) -> None:
        self.app: Application = create_app(Settings(models=paths, **settings))
        self.log = io.StringIO()
        self.app.state.log = Log("text", self.log)
        self.client = Client(self.app)

    def reload(self) -> list[str]:
        """Reload as SIGHUP does, and return what was logged."""
        start = len(self.log.getvalue())
        asyncio.run(self.app.reloader._try(self.app.reloader._reload))
        return self.log.getvalue()[start:].splitlines()

    def poll(self, count: int = 2) -> list[str]:
        """Look at the disk as `watch` does, and return what was logged."""
        start = len(self.log.getvalue())
        for _ in range(count):
            asyncio.run(self.app.reloader._try(self.app.reloader._poll))
        return self.log.getvalue()[start:].splitlines()

    @property
    def version(self) -> int:
        """The version that answers by default."""
        answer = self.client.post("/models/sum/predict", [[1, 2, 3]])
        assert answer.status == 200, answer.error
        return int(answer.json()["version"])

    def index(self) -> dict[str, tuple[str, str]]:
        """Return state and reason by name and version."""
        listed = self.client.ask("POST", "/v2/repository/index").json()
        return {f"{one['name']}/{one['version']}": (one["state"], one["reason"]) for one in listed}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A repository that is only there to be changed."""
    publish(tmp_path / "models", "sum", regressor())
    return tmp_path / "models"


@pytest.fixture(params=["reload", "poll"])
def look(request: pytest.FixtureRequest) -> Callable[[Served], list[str]]:
    """Look for changes, both ways."""
    return Served.reload if request.param == "reload" else Served.poll


def test_a_new_version_becomes_the_default_and_the_old_one_stays(
    models: Path, look: Callable[[Served], list[str]]
) -> None:
    served = Served(models)
    kept = served.app.repository.default("sum").model
    publish(models, "sum", regressor())
    log = look(served)

    assert served.version == 2
    assert served.client.post("/models/sum/versions/1/predict", [[1, 2, 3]]).json()["version"] == 1
    assert log[0].startswith(f"snooze: loaded sum/2 from {models / 'sum' / '2'} in ")
    assert served.app.repository.versions["sum"][1].model is kept
    assert served.client.ask("GET", "/v2/models/sum").json()["versions"] == ["1", "2"]


def test_what_is_removed_is_unloaded_and_its_metrics_stay(models: Path, look: Callable[[Served], list[str]]) -> None:
    publish(models, "sum", regressor())
    served = Served(models)
    assert served.version == 2
    shutil.rmtree(models / "sum" / "2")
    log = look(served)

    assert served.version == 1
    assert log[0] == "snooze: unloaded sum/2"
    answer = served.client.post("/models/sum/versions/2/predict", [[1, 2, 3]])
    assert (answer.status, answer.error) == (404, "no version '2' of model 'sum'; available: 1")
    metrics = served.client.ask("GET", "/metrics").body.decode()
    assert 'snooze_model_ready{model="sum",version="2"} 0\n' in metrics
    assert 'snooze_model_ready{model="sum",version="1"} 1\n' in metrics
    assert 'snooze_in_flight{model="sum",version="2"} 0\n' in metrics
    assert 'snooze_requests_total{model="sum",version="2",protocol="plain",code="200"} 1\n' in metrics


def test_a_model_comes_and_goes(models: Path, look: Callable[[Served], list[str]]) -> None:
    served = Served(models)
    publish(models, "other", regressor())
    look(served)
    assert served.client.post("/models/other/predict", [[1, 2, 3]]).status == 200
    assert served.client.post("/predict", [[1, 2, 3]]).status == 404
    shutil.rmtree(models / "other")
    look(served)

    assert served.client.post("/models/other/predict", [[1, 2, 3]]).status == 404
    assert served.client.post("/predict", [[1, 2, 3]]).status == 200


def damage_contract(folder: Path) -> None:
    (folder / "bundle.json").write_text("{")


def change_model(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"changed")


def remove_samples(folder: Path) -> None:
    (folder / "samples.npz").unlink()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (damage_contract, "bundle.json"),
        (change_model, "was changed after the bundle was written"),
        (remove_samples, "samples.npz is listed in bundle.json but does not exist"),
    ],
)
def test_a_bad_version_is_refused_and_the_old_one_stays(
    models: Path, look: Callable[[Served], list[str]], spoil: Callable[[Path], None], reason: str
) -> None:
    served = Served(models)
    spoil(publish(models, "sum", regressor()))
    log = look(served)

    assert served.version == 1
    assert log[0].startswith("snooze: refused sum/2: ")
    assert reason in log[0]
    assert served.index()["sum/1"] == ("READY", "")
    assert served.client.ask("GET", "/v2/models/sum").json()["versions"] == ["1"]
    state, why = served.index()["sum/2"]
    assert (state, reason in why) == ("UNAVAILABLE", True)
    assert served.client.ask("GET", "/readyz").status == 200
    answer = served.client.post("/models/sum/versions/2/predict", [[1, 2, 3]])
    assert (answer.status, reason in answer.error) == (503, True)


def test_a_version_that_answers_something_else_is_refused_and_not_kept_in_memory(models: Path) -> None:
    served = Served(models)
    folder = publish(models, "sum", regressor(), golden_outputs=WRONG)
    served.poll()

    assert isinstance(served.app.repository.versions["sum"][2].error, GoldenMismatch)
    assert served.version == 1
    assert not any(isinstance(one, Model) and one.folder == folder for one in gc.get_objects())


def test_a_refusal_is_logged_once_and_tried_again_when_files_change(models: Path) -> None:
    served = Served(models)
    folder = publish(models, "sum", regressor())
    samples = (folder / "samples.npz").read_bytes()
    (folder / "samples.npz").write_bytes(samples[:-1])
    assert len(served.poll(6)) == 1
    (folder / "samples.npz").write_bytes(samples)

    assert [line.partition(" from")[0] for line in served.poll(4)] == ["snooze: loaded sum/2"]
    assert served.version == 2


def test_what_is_still_copied_is_left_alone(models: Path, tmp_path: Path) -> None:
    served = Served(models)
    publish(tmp_path / "elsewhere", "sum", regressor())
    whole = publish(tmp_path / "elsewhere", "sum", regressor())
    copy = models / "sum" / "2"
    copy.mkdir()
    log = served.poll()
    shutil.copy(whole / "bundle.json", copy)
    content = (whole / "model.onnx").read_bytes()
    for end in range(0, len(content), 20):
        (copy / "model.onnx").write_bytes(content[:end])
        log += served.poll(1)
    (copy / "model.onnx").write_bytes(content)
    shutil.copy(whole / "samples.npz", copy)
    log += served.poll(3)

    assert [line.partition(" from")[0] for line in log] == ["snooze: loaded sum/2"]
    assert served.version == 2


def test_the_old_version_stays_while_the_new_one_is_copied(models: Path, tmp_path: Path) -> None:
    served = Served(models)
    publish(tmp_path, "sum", regressor())
    whole = publish(tmp_path, "sum", regressor())
    shutil.rmtree(models / "sum" / "1")
    (models / "sum" / "2").mkdir()
    for name in ("bundle.json", "model.onnx", "samples.npz"):
        shutil.copy(whole / name, models / "sum" / "2")
        served.poll(1)
        assert served.version == 1
    served.poll()

    assert served.version == 2
    assert list(served.index()) == ["sum/2"]


def test_a_link_to_another_version_is_followed_without_a_gap(models: Path, tmp_path: Path) -> None:
    """As Kubernetes and git-sync replace a volume: a link beside the data is renamed over the old one."""
    publish(models, "sum", regressor())
    link = tmp_path / "current"
    link.symlink_to(models / "sum" / "1")
    served = Served(link)
    assert served.version == 1

    def swap(target: Path) -> list[str]:
        (tmp_path / "new").symlink_to(target)
        (tmp_path / "new").replace(link)
        return served.poll()

    log = swap(models / "sum" / "2")
    assert (served.version, [line.split()[1] for line in log]) == (2, ["loaded", "unloaded"])
    change_model(models / "sum" / "1")
    log = swap(models / "sum" / "1")
    assert (served.version, [line.split()[1] for line in log]) == (2, ["refused"])
    assert {key: state for key, (state, _) in served.index().items()} == {"sum/1": "UNAVAILABLE", "sum/2": "READY"}
    damage_contract(models / "sum" / "1")
    served.poll()
    assert served.version == 2


def test_a_volume_of_kubernetes_is_followed(models: Path, tmp_path: Path) -> None:
    """Its files are links into `..data`, a link that is replaced at once."""
    publish(models, "sum", regressor())
    volume = tmp_path / "volume"
    volume.mkdir()
    for number in "12":
        shutil.copytree(models / "sum" / number, volume / f"..{number}")
    (volume / "..data").symlink_to("..1")
    for name in ("bundle.json", "model.onnx", "samples.npz"):
        (volume / name).symlink_to(f"..data/{name}")
    served = Served(volume)
    assert served.version == 1
    (volume / "..data_tmp").symlink_to("..2")
    (volume / "..data_tmp").replace(volume / "..data")
    shutil.rmtree(volume / "..1")

    assert [line.split()[1] for line in served.poll()] == ["loaded", "unloaded"]
    assert served.version == 2


def test_the_same_bundle_elsewhere_keeps_its_session(models: Path) -> None:
    served = Served(models)
    kept = served.app.repository.default("sum").model
    (models / "sum").rename(models / "renamed")

    assert served.poll() == []
    assert served.app.repository.default("sum").model is kept
    assert served.app.repository.default("sum").folder == models / "renamed" / "1"


def test_another_bundle_in_the_same_place_replaces_the_model_or_leaves_it(models: Path, tmp_path: Path) -> None:
    served = Served(models)
    first = served.app.repository.default("sum").model
    bad = publish(tmp_path / "bad", "sum", regressor(), golden_outputs=WRONG)
    shutil.rmtree(models / "sum" / "1")
    shutil.copytree(bad, models / "sum" / "1")
    served.poll()

    assert served.app.repository.default("sum").model is first
    state, reason = served.index()["sum/1"]
    assert (state, "differs from its golden value" in reason) == ("READY", True)
    good = publish(tmp_path / "good", "sum", regressor(), run_in="executor")
    shutil.rmtree(models / "sum" / "1")
    shutil.copytree(good, models / "sum" / "1")
    served.poll()
    assert served.app.repository.default("sum").model is not first
    assert served.index()["sum/1"] == ("READY", "")
    assert served.version == 1  # in a thread that did not exist before


def test_nothing_is_unloaded_when_a_whole_path_is_gone(models: Path, look: Callable[[Served], list[str]]) -> None:
    served = Served(models)
    models.rename(models.with_name("away"))

    assert look(served) == [f"snooze: nothing is reloaded: {models} is not a bundle: the folder does not exist"]
    assert served.poll() == []
    assert served.version == 1


def test_two_bundles_of_one_version_change_nothing(models: Path) -> None:
    served = Served(models)
    shutil.copytree(models / "sum" / "1", models / "sum" / "2")
    (problem,) = served.poll(6)

    assert problem.endswith("are both model 'sum' version 1")
    assert served.version == 1


def test_a_model_that_does_not_fit_is_refused(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = Served(models)
    folder = publish(models, "sum", regressor())
    monkeypatch.setattr("snooze.service.process.memory.free", lambda: 2**20)
    served.reload()
    error = served.app.repository.versions["sum"][2].error

    assert isinstance(error, NotEnoughMemory)
    # As tests.bundle.conftest.PROFILE says: a peak of 5 x 4 MiB, of which 2 x 2 MiB were there before the model.
    assert (error.path, error.needed, error.free) == (folder, 16 * 2**20, 2**20)
    assert served.version == 1
    monkeypatch.setattr("snooze.service.process.memory.free", lambda: 2**30)
    served.reload()
    assert served.version == 2


def test_without_a_profile_the_files_must_fit(models: Path) -> None:
    folder = publish(models, "sum", regressor())
    contract = json.loads((folder / "bundle.json").read_text())
    contract["profile"] = {}
    (folder / "bundle.json").write_text(json.dumps(contract))
    (_, found) = find(models)

    assert reload._estimate_memory(found) == sum((folder / name).stat().st_size for name in contract["files"])


def test_a_running_request_finishes_on_the_old_model_which_is_released_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    publish(models, "sum", regressor(), run_in="executor")
    served = Served(models)
    model = served.app.repository.default("sum").model
    assert model is not None
    begun, may_end = threading.Event(), threading.Event()
    run = model._run

    def hold(*arguments: Any) -> Any:
        begun.set()
        assert may_end.wait(DEADLINE)
        return run(*arguments)

    model._run = hold
    alive = weakref.ref(model)
    del model

    async def replace_while_it_runs() -> Any:
        request = asyncio.create_task(served.client.exchange("POST", "/models/sum/predict", [b"[[1, 2, 3]]"]))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        publish(models, "sum", regressor())
        shutil.rmtree(models / "sum" / "1")
        await served.app.reloader._reload()
        assert alive() is not None
        assert served.app.state.in_flight == 1
        second = await served.client.exchange("POST", "/models/sum/predict", [b"[[1, 2, 3]]"])
        may_end.set()
        return (await request).json()["version"], second.json()["version"]

    gc.collect()
    gc.disable()  # the model must go without a search for cycles
    try:
        assert asyncio.run(replace_while_it_runs()) == (1, 2)
        run = None
        end = time.monotonic() + DEADLINE
        while alive() is not None and time.monotonic() < end:
            time.sleep(0.001)  # the thread that ran it has not returned yet
        assert alive() is None
    finally:
        gc.enable()


def test_a_client_unloads_a_model_and_loads_it_again(models: Path) -> None:
    publish(models, "other", regressor())
    served = Served(models, allow_load=True)
    assert (
        served.client.post("/v2/repository/models/sum/unload", {"parameters": {"unload_dependents": False}}).status
        == 200
    )
    answer = served.client.post("/models/sum/predict", [[1, 2, 3]])

    assert (answer.status, answer.error) == (503, "model 'sum' is not ready: unloaded")
    assert served.index() == {"other/1": ("READY", ""), "sum/1": ("UNAVAILABLE", "unloaded")}
    assert served.client.ask("GET", "/v2/models/sum/ready").status == 503
    assert served.client.ask("GET", "/readyz").status == 200
    publish(models, "sum", regressor())
    served.reload()
    assert served.index()["sum/2"] == ("UNAVAILABLE", "unloaded")
    assert served.client.ask("POST", "/v2/repository/models/sum/load").status == 200
    assert served.version == 2


def test_a_load_leaves_other_models_as_they_are(models: Path) -> None:
    publish(models, "other", regressor())
    served = Served(models, allow_load=True)
    publish(models, "other", regressor())
    publish(models, "sum", regressor())
    served.client.post("/v2/repository/models/sum/load", {})

    assert set(served.index()) == {"other/1", "sum/1", "sum/2"}
    served.poll()
    assert "other/2" in served.index()


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        ("sum/load", {"parameters": {"config": "{}"}}, "parameter 'config' is not supported: "),
        ("sum/load", {"parameters": {"file:1/model.onnx": "AAAA"}}, "parameter 'file:1/model.onnx' is not supported: "),
        ("sum/load", [], "expected an empty body or an object whose 'parameters' are an object"),
        ("none/load", {}, "model 'none' cannot be loaded: there is no bundle of it in "),
        ("none/unload", {}, "no model 'none'; "),
    ],
)
def test_a_load_that_cannot_be_says_why(models: Path, path: str, body: Any, problem: str) -> None:
    served = Served(models, allow_load=True)
    answer = served.client.post(f"/v2/repository/models/{path}", body)

    assert (answer.status, answer.error[: len(problem)]) == (400, problem)
    assert served.version == 1


def test_a_load_of_a_bad_version_says_why_and_keeps_the_old_one(models: Path) -> None:
    served = Served(models, allow_load=True)
    publish(models, "sum", regressor(), golden_outputs=WRONG)
    answer = served.client.post("/v2/repository/models/sum/load", {})

    assert answer.status == 400
    assert "differs from its golden value" in answer.error
    assert served.version == 1


def test_without_the_setting_nobody_loads(models: Path) -> None:
    served = Served(models)

    for action in ("load", "unload"):
        answer = served.client.post(f"/v2/repository/models/sum/{action}", {})
        assert (answer.status, answer.error.partition(";")[0]) == (404, f"no path '/v2/repository/models/sum/{action}'")
    assert "model_repository" not in served.client.ask("GET", "/v2").json()["extensions"]
    assert "model_repository" in Served(models, allow_load=True).client.ask("GET", "/v2").json()["extensions"]


def test_a_folder_that_cannot_be_read_is_no_problem_yet(models: Path) -> None:
    (models / "sum" / "1" / "broken-link").symlink_to("nowhere")

    assert reload._look_into(models / "sum" / "9") == ()
    assert [name for name, *_ in reload._look_into(models / "sum" / "1")] == [
        "bundle.json",
        "model.onnx",
        "samples.npz",
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Four versions of a model, to be copied."""
    source = tmp_path_factory.mktemp("source")
    return {number: publish(source, "sum", regressor()) for number in range(1, 5)}


@given(st.lists(st.tuples(st.sampled_from(["add", "spoil", "remove", "reload"]), st.integers(1, 4)), max_size=8))
def test_whatever_happens_on_disk_the_highest_good_version_answers(
    whole: dict[int, Path], steps: list[tuple[str, int]]
) -> None:
    """If none on disk is good, the last that was stays, as long as a bad one lies there, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        shutil.copytree(whole[1], models / "sum" / "1")
        served, good, last = Served(models), {1}, 1
        for action, number in steps:
            place = models / "sum" / str(number)
            shutil.rmtree(place, ignore_errors=True)
            is_served = number in good or number == last  # what is loaded already does not suffer from its files
            good.discard(number)
            if action != "remove":
                shutil.copytree(whole[number], place)
            if action == "spoil":
                change_model(place)
            if action in ("add", "reload") or (action == "spoil" and is_served):
                good.add(number)
            if action == "reload":
                served.reload()
            else:
                served.poll()
            last = max(good, default=last)
            assert served.version == last
            assert served.client.ask("GET", "/readyz").status == 200


ALIAS = {"model": "sum", "input": "x", "answer": ["value", "version"]}


def write_aliases(models: Path, **aliases: Any) -> None:
    text = json.dumps({f"/{path}": alias for path, alias in aliases.items()})
    (models / "aliases.new").write_text(text)
    (models / "aliases.new").rename(models / "aliases.json")


def ask_alias(served: Served, path: str) -> Any:
    """Return the answer of an alias, or its status and the error."""
    answer = served.client.post(path, {"x": [1, 2, 3]})
    return answer.json() if answer.status == 200 else (answer.status, answer.error)


def test_aliases_come_change_and_go(models: Path, look: Callable[[Served], list[str]]) -> None:
    served = Served(models)
    assert ask_alias(served, "/add")[0] == 404
    write_aliases(models, add=ALIAS)
    look(served)
    assert ask_alias(served, "/add") == [6, 1]
    assert "/add" in served.client.ask("GET", "/openapi.json").json()["paths"]

    write_aliases(models, add=ALIAS | {"answer": {"sum": "value"}}, plus=ALIAS)
    look(served)
    assert (ask_alias(served, "/add"), ask_alias(served, "/plus")) == ({"sum": 6}, [6, 1])

    (models / "aliases.json").unlink()
    look(served)
    assert ask_alias(served, "/add")[0] == 404
    assert "/add" not in served.client.ask("GET", "/openapi.json").json()["paths"]


def test_an_alias_follows_its_model_to_a_new_version(models: Path, look: Callable[[Served], list[str]]) -> None:
    write_aliases(models, new=ALIAS, old=ALIAS | {"version": 1})
    served = Served(models)
    assert ask_alias(served, "/new") == [6, 1]
    publish(models, "sum", regressor())
    look(served)

    assert (ask_alias(served, "/new"), ask_alias(served, "/old")) == ([6, 2], [6, 1])


@pytest.mark.parametrize(
    ("alias", "problem"),
    [
        (ALIAS | {"answer": "label"}, "answer: model 'sum' version 1 has no 'label'; expected one of: input, value"),
        (ALIAS | {"model": "other"}, "there is no model 'other'; available: sum"),
        (ALIAS | {"input": 1}, "input: expected the name of a field, got 1"),
    ],
)
def test_a_wrong_alias_leaves_those_of_before(
    models: Path, look: Callable[[Served], list[str]], alias: Any, problem: str
) -> None:
    write_aliases(models, add=ALIAS)
    served = Served(models)
    served.poll()
    write_aliases(models, add=ALIAS, plus=alias)
    log = look(served)

    said = f"snooze: the aliases stay as they were: {models / 'aliases.json'}: alias '/plus': {problem}"
    assert log[0] == said
    assert ask_alias(served, "/add") == [6, 1]
    assert served.poll() == []  # said once
    write_aliases(models, add=ALIAS, plus=ALIAS)
    look(served)
    assert ask_alias(served, "/plus") == [6, 1]


def test_an_alias_that_does_not_fit_the_new_version_is_503(models: Path, look: Callable[[Served], list[str]]) -> None:
    write_aliases(models, add=ALIAS | {"answer": {"$output": "value"}})
    served = Served(models)
    publish(models, "sum", identity("FP32", (-1, 3)))
    look(served)

    problem = "answer: model 'sum' version 2 has no 'value'; expected one of: y"
    assert ask_alias(served, "/add") == (
        503,
        f"model 'sum' is not ready: {models / 'aliases.json'}: alias '/add': {problem}",
    )
    assert served.client.post("/models/sum/predict", [[1, 2, 3]]).status == 200
    assert served.client.ask("GET", "/readyz").status == 200


def test_an_alias_of_a_model_that_is_gone_is_404(models: Path, look: Callable[[Served], list[str]]) -> None:
    publish(models, "other", regressor())
    write_aliases(models, add=ALIAS | {"model": "other"})
    served = Served(models)
    served.poll()
    shutil.rmtree(models / "other")
    log = look(served)

    assert any("alias '/add': there is no model 'other'; available: sum" in line for line in log)
    assert ask_alias(served, "/add")[0] == 404
    publish(models, "other", regressor())
    look(served)
    assert ask_alias(served, "/add") == [6, 1]


def test_an_alias_of_an_unloaded_model_is_503(models: Path) -> None:
    write_aliases(models, add=ALIAS)
    served = Served(models, allow_load=True)
    served.client.ask("POST", "/v2/repository/models/sum/unload")
    assert ask_alias(served, "/add") == (503, "model 'sum' is not ready: unloaded")
    served.client.ask("POST", "/v2/repository/models/sum/load")

    assert ask_alias(served, "/add") == [6, 1]
