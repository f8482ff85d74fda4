"""The whole path on real data: train, convert, quantize, serve, wake from zero, predict, load test, sized manifest."""

import argparse
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import tritonclient.http

from snooze.benchmarks import cold_start
from snooze.benchmarks.load import runner
from snooze.bundle.contract import Bundle
from snooze.bundle.samples import Sample, matches, read_samples
from snooze.bundle.store import latest, read

EXAMPLES = os.path.relpath(Path(__file__).parents[1] / "examples")
MARK = ".made-by-scripts-demo"
RPS = 300
SECONDS = 8
IDLE = 2.0
SNOOZE = str(Path(sys.executable).with_name("snooze"))


@dataclass
class Served:
    """A running `snooze serve --idle`, the parent that holds the socket."""

    process: "subprocess.Popen[bytes]"
    url: str

    def workers(self) -> list[psutil.Process]:
        return [child for child in psutil.Process(self.process.pid).children() if child.status() != "zombie"]


def main(folder: Path) -> None:
    """Run every step in `folder`, which is made anew; whatever fails ends the demo with its own message."""
    began = float(os.environ.get("SNOOZE_DEMO_STARTED", time.time()))
    if folder.exists() and not (folder / MARK).exists():
        sys.exit(f"scripts/demo: {folder} is not an earlier demo's, so it is not made anew; name another --folder")
    shutil.rmtree(folder, ignore_errors=True)
    models = folder / "models"
    models.mkdir(parents=True)
    (folder / MARK).touch()
    step("1 of 7", "train two models on data that scikit-learn carries")
    run(sys.executable, f"{EXAMPLES}/tumour/train.py", str(folder / "tumour"))
    run(sys.executable, f"{EXAMPLES}/digits/train.py", str(folder / "digits"))
    step("2 of 7", "convert both, through every gate")
    convert(folder / "tumour", models, "model.joblib", "--trust", "--labels", "malignant,benign")
    convert(folder / "digits", models, "model.keras", "--labels", ",".join("0123456789"))
    run(SNOOZE, "inspect", str(models), "--verify")
    tumour = latest(models / "tumour").folder
    bundle = read(tumour)
    samples = read_samples(tumour, bundle)

    step(
        "3 of 7",
        f"serve, scaled to zero: the server starts with the first connection and ends {IDLE:g} s after the last",
    )
    with serve(models, folder / "serve.log") as served:
        wake_ms = [wake(served, bundle, samples) for _ in range(3)]
        step("4 of 7", "predict: Open Inference V2, /predict, tritonclient")
        predict(served.url, bundle, samples)
        step("5 of 7", f"load test: {RPS} requests/s offered for {SECONDS} s, beside what the profile predicts")
        loaded = runner.run(
            served.url, model="tumour", data=folder / "tumour/rows.npz", rps=RPS, seconds=SECONDS, bundle=tumour,
            pid=served.process.pid,
        )  # fmt: skip
        print(loaded.as_text())
    cold = cold_start.measure(tumour, runs=5)
    step("6 of 7", "the sized Knative manifest, and the kn command for it")
    manifest = folder / "tumour.yaml"
    run(SNOOZE, "deploy", str(models / "tumour"), "--image", "registry.example.com/tumour:1", "--rps", str(RPS),
        "--output", str(manifest))  # fmt: skip
    step("7 of 7", "what was measured")
    summary = {
        "seconds": round(time.time() - began, 1),
        "models": {name: figures(models / name) for name in ("tumour", "digits")},
        "wake_ms": wake_ms,
        "cold_start": {"wall_ms": cold.wall_ms, "cpu_ms": cold.cpu_ms},
        "load": loaded.as_dict(),
        "manifest": str(manifest),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    tell(summary, folder)


def step(number: str, what: str) -> None:
    """Print what comes next."""
    print(f"\n\033[1m[{number}] {what}\033[0m" if sys.stdout.isatty() else f"\n[{number}] {what}", flush=True)


def run(*command: str) -> None:
    """Show a command and run it; its failure is the demo's."""
    shown = shlex.join(Path(word).name if word in (sys.executable, SNOOZE) else word for word in command)
    print(f"$ {shown}", flush=True)
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(f"scripts/demo: '{shown}' ended with exit code {code}")


def convert(trained: Path, models: Path, file: str, *options: str) -> None:
    """Convert the model that was trained into a folder, with the rows beside it that it has not seen."""
    name, rows = trained.name, str(trained / "rows.npz")
    run(SNOOZE, "convert", str(trained / file), "--name", name, "--target", str(models), "--data", rows, *options)


@contextmanager
def serve(models: Path, log: Path) -> Iterator[Served]:
    """Start the parent that holds the socket, on a free port, and end it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = (SNOOZE, "serve", str(models), "--port", str(port), "--idle", f"{IDLE:g}s")
    print(f"$ {shlex.join(['snooze', *command[1:]])} &", flush=True)
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
                os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})  # load and server on different cores
            wait_until("the socket is open", lambda: "waiting" in log.read_text())
            yield Served(process, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def wait_until(what: str, holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until `holds()`, or end the demo."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            sys.exit(f"scripts/demo: waited {seconds:g} s in vain until {what}")
        time.sleep(0.01)


def wake(served: Served, bundle: Bundle, samples: Sample) -> float:
    """Wait until the server is gone; return the milliseconds from the request that wakes it to its right answer."""
    wait_until("no server process is left", lambda: not served.workers())
    before = time.perf_counter()
    answer = infer(served.url, bundle, samples)
    elapsed = (time.perf_counter() - before) * 1e3
    for output in answer["outputs"]:
        golden = samples.outputs[output["name"]]
        got = np.array(output["data"], golden.dtype).reshape(output["shape"])
        if not matches(got, golden, bundle.tolerance[output["name"]]):
            sys.exit(f"scripts/demo: the first answer is wrong: {output}")
    print(f"at zero; a request woke it and had its right answer after {elapsed:.0f} ms", flush=True)
    return round(elapsed, 1)


def infer(url: str, bundle: Bundle, samples: Sample) -> dict[str, Any]:
    """Ask for the golden outputs by the Open Inference Protocol."""
    inputs = [
        {"name": one.name, "datatype": one.datatype, "shape": list(samples.inputs[one.name].shape),
         "data": samples.inputs[one.name].ravel().tolist()}
        for one in bundle.inputs
    ]  # fmt: skip
    return post(f"{url}/v2/models/{bundle.name}/infer", {"inputs": inputs})


def post(url: str, body: object) -> dict[str, Any]:
    """Return the JSON answer to a JSON body."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return dict(json.loads(answer.read()))


def predict(url: str, bundle: Bundle, samples: Sample) -> None:
    """Predict one row in three ways and say what came."""
    rows = samples.inputs["features"][:1]
    print("POST /v2/models/tumour/infer ", json.dumps(infer(url, bundle, samples)["outputs"][0]))
    print("POST /models/tumour/predict  ", json.dumps(post(f"{url}/models/tumour/predict", {"rows": rows.tolist()})))
    with tritonclient.http.InferenceServerClient(url.removeprefix("http://")) as client:
        tensor = tritonclient.http.InferInput("features", list(rows.shape), "FP32")
        tensor.set_data_from_numpy(rows)
        answer = client.infer("tumour", [tensor])
        print("tritonclient, binary tensors ", answer.as_numpy("label"), answer.as_numpy("probabilities"))


def figures(model: Path) -> dict[str, Any]:
    """Return what the evidence of a model's latest version says, as the summary wants it."""
    evidence = read(latest(model).folder).evidence
    chosen = next((one for one in evidence.candidates if one["name"] == evidence.chosen), {})
    return {
        "parity_worst": evidence.parity["worst"],
        "flips": evidence.parity["flips"],
        "chosen": evidence.chosen,
        "speedup": chosen.get("speedup") or 1.0,  # nothing to compare with where nothing could be quantized
        "score_before": evidence.evaluation["before"],
        "score_after": evidence.evaluation["after"],
    }


def tell(summary: dict[str, Any], folder: Path) -> None:
    """Print the closing table, the reports and what to try next."""
    rows: list[tuple[str, str]] = []
    for name, model in summary["models"].items():
        rows += [
            (f"{name}: worst difference, flips", f"{model['parity_worst']:.1e}, {model['flips']}"),
            (f"{name}: chosen", f"{model['chosen']}, {model['speedup']:.2f} x the speed of fp32"),
            (f"{name}: score before, after", f"{model['score_before']:.4f}, {model['score_after']:.4f}"),
        ]
    loaded, predicted = summary["load"], summary["load"]["predicted"]
    rows += [
        ("wake from zero to right answer", ", ".join(f"{ms:.0f}" for ms in summary["wake_ms"]) + " ms"),
        ("spawn to right answer, no --idle", "{wall_ms:.0f} ms, {cpu_ms:.0f} ms CPU".format(**summary["cold_start"])),
        ("load: offered, achieved", f"{loaded['offered_rps']:.0f}, {loaded['achieved_rps']:.0f} requests/s"),
        ("load: errors; p50, p99", f"{loaded['errors']}; {loaded['p50_ms']:.2f}, {loaded['p99_ms']:.2f} ms"),
        *(
            (f"load: {key}, predicted", beside(loaded[key], predicted[key]))
            for key in ("p50_ms", "cpu_cores", "peak_mib")
        ),
        ("seconds in all", f"{summary['seconds']:.0f}"),
    ]
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"  {name:<{width}}  {value}" for name, value in rows))
    print("\nreports")
    for path in (*sorted(folder.glob("models/*/*/report.html")), Path(summary["manifest"]), folder / "summary.json"):
        print(f"  {path}")
    print("\ntry next")
    snooze = os.path.relpath(SNOOZE)
    print(f"  {snooze} inspect {folder}/models/digits")
    print(f"  {snooze} serve {folder}/models --idle 60s")
    print(f"  {snooze} size {folder}/models/tumour --rps 1000 --p99 20ms")


def beside(measured: float | None, predicted: float) -> str:
    """Return a measured figure, the predicted one and its error."""
    if measured is None:
        return f"not measured, {predicted:.3g}"
    return f"{measured:.3g}, {predicted:.3g} ({(predicted / measured - 1) * 100:+.0f} %)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=Path("build/demo"), help="made anew; the demo writes nowhere else"
    )
    arguments = parser.parse_args()
    try:
        main(arguments.folder)
    except KeyboardInterrupt:
        sys.exit(130)
