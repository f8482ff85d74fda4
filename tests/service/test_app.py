import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import Client, classifier, publish, regressor

from snooze.bundle.contract import RunIn
from snooze.bundle.errors import MissingFile, WrongHash
from snooze.service import Settings, create_app
from snooze.service.app import Application, processors
from snooze.service.errors import GoldenMismatch, NothingToServe
from snooze.service.logs import Log
from snooze.service.metrics import Metrics
from snooze.service.process.cpu import allowed
from snooze.service.runtime.repository import Entry, Repository
from snooze.service.state import ServerState

ROWS = {"rows": [[1, 2, 3]]}
INFER = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A repository of one model that sums three numbers."""
    publish(tmp_path, "sum", regressor())
    return tmp_path


def serve(*models: Path, **settings: Any) -> Client:
    return Client(create_app(Settings(models=models, log="off", **settings)))


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"])
def test_probes_answer_from_a_flag(client: Client, path: str) -> None:
    answer = client.ask("GET", path)

    assert (answer.status, answer.json()["live"]) == (200, True)


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("POST", "/healthz", 405, "GET, HEAD"),
        ("GET", "/v2/models/sum/infer", 405, "POST"),
        ("DELETE", "/v2/models/sum", 405, "GET, HEAD"),
        ("GET", "/v2/repository/index", 405, "POST"),
        ("GET", "/nowhere", 404, None),
        ("GET", "/v2/models/none", 404, None),
        ("GET", "/v2/models/sum/versions/9", 404, None),
        ("GET", "/v2/models/sum/versions/01", 404, None),
        ("POST", "/v2/models/none/infer", 404, None),
        ("POST", "/v2/models/sum/versions/9/infer", 404, None),
        ("POST", "/models/gr\u00fc\u00dfe/predict", 404, None),
    ],
)
def test_errors_have_one_form_everywhere(
    client: Client, method: str, path: str, status: int, allow: str | None
) -> None:
    answer = client.ask(method, path)

    assert (answer.status, answer.headers.get("allow")) == (status, allow)
    assert answer.error
    assert answer.headers["x-request-id"]


def test_an_unknown_model_is_told_which_there_are(client: Client) -> None:
    assert client.ask("POST", "/v2/models/sums/infer").error.startswith("no model 'sums'; available: identity-bool, ")
    assert client.ask("POST", "/v2/models/tumour/versions/3/infer").error == (
        "no version '3' of model 'tumour'; available: 1, 2"
    )


def test_predict_needs_no_name_where_there_is_one_model(one: Path) -> None:
    answer = serve(one).post("/predict", ROWS)

    assert answer.json() == {"model": "sum", "version": 1, "predictions": [{"value": 6.0}]}


def test_a_bundle_itself_is_served(tmp_path: Path) -> None:
    folder = publish(tmp_path, "sum", regressor())

    assert serve(folder).post("/predict", ROWS).status == 200


def test_every_prediction_says_what_answered(one: Path) -> None:
    headers = serve(one, revision="sum-00007").post("/predict", ROWS).headers

    assert (headers["snooze-model"], headers["snooze-version"], headers["snooze-revision"]) == ("sum", "1", "sum-00007")


def test_a_body_over_the_limit_is_never_waited_for(one: Path) -> None:
    answer = serve(one, max_body=100).ask("POST", "/predict", b"", content_length="101")

    assert (answer.status, answer.error) == (
        413,
        "the body is larger than 100 bytes; send fewer rows or raise SNOOZE_MAX_BODY",
    )


@pytest.mark.parametrize("parts", [[b"[[1,2,", b"3]]"], [b"[[1,2,3]", b"", b"]"]])
def test_a_body_may_come_in_parts(one: Path, parts: list[bytes]) -> None:
    answer = asyncio.run(serve(one).exchange("POST", "/predict", parts))

    assert answer.json()["predictions"] == [{"value": 6.0}]


@pytest.mark.parametrize("parts", [[b" " * 101], [b" " * 60, b" " * 60]])
def test_a_body_that_grows_over_the_limit_is_refused(one: Path, parts: list[bytes]) -> None:
    answer = asyncio.run(serve(one, max_body=100).exchange("POST", "/predict", parts))

    assert answer.status == 413


@pytest.mark.parametrize(
    ("parameters", "headers", "seconds"),
    [({}, {"x_request_timeout": "0.05"}, "0.05"), ({"timeout": 50_000}, {"x_request_timeout": "60"}, "0.05")],
)
def test_a_run_that_takes_too_long_is_given_up(
    client: Client, parameters: Any, headers: dict[str, str], seconds: str
) -> None:
    document = {
        "parameters": parameters,
        "inputs": [{"name": "times", "shape": [1], "datatype": "INT64", "data": [3000]}],
    }

    answer = client.post("/v2/models/slow/infer", document, **headers)

    assert (answer.status, answer.error) == (504, f"no answer within the {seconds} s that the request allows")


def test_a_request_that_waited_too_long_is_not_run(one: Path) -> None:
    answer = serve(one).post("/predict", ROWS, x_request_timeout="1e-9")

    assert answer.status == 504


def test_one_request_more_than_allowed_is_refused(repository: Path) -> None:
    client = serve(repository / "slow", max_in_flight=1)

    async def both() -> list[int]:
        body = b'{"rows": [300]}'
        answers = await asyncio.gather(*(client.exchange("POST", "/predict", [body]) for _ in range(2)))
        refused = next(answer for answer in answers if answer.status == 429)
        assert (refused.headers["retry-after"], refused.error) == (
            "1",
            "1 predictions are running or waiting, the limit of this server; try again in 1 s",
        )
        return sorted(answer.status for answer in answers)

    assert asyncio.run(both()) == [200, 429]
    assert 'snooze_refused_total{model="slow",reason="overload"} 1' in client.ask("GET", "/metrics").body.decode()


@pytest.mark.parametrize("headers", [{"x_request_timeout": "0"}, {}])
def test_without_a_limit_of_the_client_the_servers_applies(one: Path, headers: dict[str, str]) -> None:
    assert serve(one).post("/predict", ROWS, **headers).status == 200
    assert serve(one, timeout=1e-9).post("/predict", ROWS, **headers).status == 504


def in_flight(client: Client, name: str) -> str:
    text: str = client.app.state.metrics.exposition().decode()
    return next(line.rsplit(" ", 1)[1] for line in text.splitlines() if f'in_flight{{model="{name}"' in line)


@pytest.mark.parametrize("run_in", ["loop", "executor"])
def test_the_gauge_counts_from_the_complete_head_to_the_written_answer(tmp_path: Path, run_in: RunIn) -> None:
    publish(tmp_path, "sum", regressor(), run_in=run_in)
    client = serve(tmp_path)
    seen: list[str] = []

    async def receive() -> Any:
        seen.append(in_flight(client, "sum"))
        return {"type": "http.request", "body": b"[[1,2,3]]", "more_body": False}

    async def send(message: Any) -> None:
        seen.append(in_flight(client, "sum"))

    asyncio.run(client.app({"type": "http", "method": "POST", "path": "/predict", "headers": []}, receive, send))

    assert seen == ["1", "1", "1"]
    assert in_flight(client, "sum") == "0"


@pytest.mark.parametrize("run_in", ["loop", "executor"])
def test_slow_senders_do_not_use_up_the_limit(tmp_path: Path, run_in: RunIn) -> None:
    publish(tmp_path, "sum", regressor(), run_in=run_in)
    client = serve(tmp_path, max_in_flight=1)

    async def main() -> None:
        complete = asyncio.Event()

        async def receive() -> Any:
            await complete.wait()
            return {"type": "http.request", "body": b"[[1,2,3]]", "more_body": False}

        statuses: list[int] = []

        async def send(message: Any) -> None:
            statuses.append(message.get("status", 0))

        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
        senders = [asyncio.create_task(client.app(dict(scope), receive, send)) for _ in range(100)]
        while in_flight(client, "sum") != "100":
            await asyncio.sleep(0)
        assert (await client.exchange("POST", "/predict", [b"[[1,2,3]]"])).status == 200
        complete.set()
        await asyncio.gather(*senders)
        assert 200 in statuses

    asyncio.run(main())
    assert client.app.state.capacity.count == 0


@pytest.mark.parametrize("place", ["model", "version"])
def test_a_model_is_served_by_its_own_name_wherever_its_folder_is(tmp_path: Path, place: str) -> None:
    version = publish(tmp_path / "repository", "sum", regressor())
    mounted = tmp_path / "models"
    (version.parent if place == "model" else version).rename(mounted)

    answer = serve(mounted).post("/v2/models/sum/infer", INFER)

    assert (answer.status, answer.json()["model_name"], answer.headers["snooze-model"]) == (200, "sum", "sum")


def test_a_client_that_goes_away_gets_no_answer(one: Path) -> None:
    app = create_app(Settings(models=(one,), log="off"))
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": "POST", "path": "/predict", "headers": []}, receive, send))

    assert sent == []
    assert app.state.in_flight == 0


def test_a_fault_of_ours_is_logged_and_not_told(one: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(Settings(models=(one,)))
    model = app.repository.default("sum").model
    assert model is not None
    model.output_names = ["none"] * 3  # what cannot be, so that something unforeseen happens
    model._run = lambda names, feeds, options: []

    answer = Client(app).post("/predict", ROWS)

    assert (answer.status, answer.error) == (500, "internal error; the server's log has the details")
    assert capsys.readouterr().err.startswith("snooze: ")


def test_stopping_takes_readiness_but_not_answers(one: Path) -> None:
    client = serve(one)
    client.app.drain()

    ready, answer = client.ask("GET", "/readyz"), client.post("/predict", ROWS)

    assert (ready.status, ready.error, ready.headers["retry-after"]) == (503, "the server is stopping", "1")
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_a_changed_file_hinders_the_start(one: Path) -> None:
    with (one / "sum/1/model.onnx").open("r+b") as file:
        file.write(b"\0")

    with pytest.raises(WrongHash):
        serve(one)


def test_a_missing_file_hinders_the_start(one: Path) -> None:
    (one / "sum/1/samples.npz").unlink()

    with pytest.raises(MissingFile):
        serve(one)


def test_other_golden_outputs_hinder_the_start(tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor(), golden_outputs={"value": np.array([[6], [16]], np.float32)})

    with pytest.raises(
        GoldenMismatch, match=r"output 'value' differs from its golden value on this CPU \(off by up to 0\.5\)"
    ):
        serve(tmp_path)


@pytest.mark.parametrize("ready", ["any", "all"])
def test_one_good_model_is_enough_if_any_will_do(one: Path, ready: str) -> None:
    publish(one, "wrong", regressor(), golden_outputs={"value": np.array([[6], [16]], np.float32)})
    if ready == "all":
        with pytest.raises(GoldenMismatch):
            serve(one, ready=ready)
        return
    client = serve(one, ready=ready)

    assert client.ask("GET", "/readyz").status == 200
    assert client.post("/models/sum/predict", ROWS).status == 200
    for answer in (
        client.post("/models/wrong/predict", ROWS),
        client.ask("GET", "/v2/models/wrong"),
        client.ask("GET", "/v2/models/wrong/ready"),
    ):
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.error.startswith("model 'wrong' is not ready: ")
    metrics = client.ask("GET", "/metrics").body.decode()
    assert 'snooze_model_ready{model="sum",version="1"} 1' in metrics
    assert 'snooze_model_ready{model="wrong",version="1"} 0' in metrics


def test_the_same_model_from_two_places_is_refused(tmp_path: Path) -> None:
    first, second = publish(tmp_path / "a", "sum", regressor()), publish(tmp_path / "b", "sum", regressor())

    with pytest.raises(NothingToServe) as caught:
        serve(tmp_path / "a", tmp_path / "b")

    assert str(caught.value) == f"nothing to serve: {first} and {second} are both model 'sum' version 1"


def test_a_model_that_is_not_loaded_is_not_ready() -> None:
    settings = Settings(log="off")
    state = ServerState(settings, Metrics(), Log("off"))
    client = Client(Application(Repository([Entry("sum", 1, None)]), settings, state))

    assert (client.ask("GET", "/readyz").status, client.ask("GET", "/readyz").error) == (
        503,
        "model 'sum' version 1: is not loaded yet",
    )


def test_idle_time_counts_from_the_last_answer(one: Path) -> None:
    client = serve(one)
    client.app.state.touched -= 100

    assert client.app.idle_for() >= 100
    client.ask("GET", "/healthz")
    assert client.app.idle_for() >= 100
    client.post("/predict", ROWS)
    assert client.app.idle_for() < 100


def test_a_run_has_no_more_threads_than_the_container() -> None:
    assert processors(Settings()) == allowed()
    assert processors(Settings(threads=1)) == 1


def test_the_bundle_and_the_cpu_limit_bound_the_threads(tmp_path: Path) -> None:
    publish(tmp_path, "tumour", classifier())

    assert create_app(Settings(models=(tmp_path,), threads=1, log="off")).repository.default("tumour").model
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
