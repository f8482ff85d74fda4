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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import tritonclient.http

from snooze.benchmarks import cold_start
from snooze.benchmarks.load import runner
from snooze.benchmarks.load.arrivals import Pace
from snooze.benchmarks.load.target import RequestOptions
from snooze.bundle.contract import Bundle
from snooze.bundle.evidence import read_evidence
from snooze.bundle.samples import Sample, matches, read_samples
from snooze.bundle.store import latest
from snooze.client import v2
from snooze.client.exchange import Address, exchange

EXAMPLES = os.path.relpath(Path(__file__).parents[1] / "examples")
MARK = ".made-by-scripts-demo"
RPS = 300
IDLE = 2.0
MAX_WAIT_SECONDS = 60.0
SNOOZE = str(Path(sys.executable).with_name("snooze"))


def main(folder: Path, seconds: float) -> None:
    """Run every step in `folder`, which is created anew. A step that fails ends the demo with its own message."""
    started = float(os.environ.get("SNOOZE_DEMO_STARTED", time.time()))
    if folder.exists() and not (folder / MARK).exists():
        sys.exit(f"scripts/demo: {folder} was not created by a demo and is not cleared; choose another --folder")
    shutil.rmtree(folder, ignore_errors=True)
    models = folder / "models"
    models.mkdir(parents=True)
    (folder / MARK).touch()
    announce("1 of 7", "train two models on data that comes with scikit-learn")
    run(sys.executable, f"{EXAMPLES}/tumour/train.py", str(folder / "tumour"))
    run(sys.executable, f"{EXAMPLES}/digits/train.py", str(folder / "digits"))
    announce("2 of 7", "convert both, with every check")
    convert(folder / "tumour", models, "model.joblib", "--trust", "--labels", "malignant,benign")
    convert(folder / "digits", models, "model.keras", "--labels", ",".join("0123456789"))
    run(SNOOZE, "inspect", str(models), "--verify")
    found = latest(models / "tumour")
    sample = read_samples(found.folder, found.bundle)[0]
    announce(
        "3 of 7", f"serve, scaled to zero: the first connection starts the server, which ends after {IDLE:g} s idle"
    )
    with serve(models, folder / "serve.log") as (parent, url):
        wake_ms = [wake(parent, url, found.bundle, sample) for _ in range(3)]
        announce("4 of 7", "predict: the command, and the client of Triton with binary tensors")
        run(SNOOZE, "predict", f"{url}/v2/models/tumour", "--row", ",".join(map(str, sample.inputs["features"][0])))
        predict_with_triton(url, sample)
        announce("5 of 7", f"load test: {RPS} requests/s for {seconds:g} s, next to what the profile predicts")
        report = runner.run(
            url,
            RequestOptions(data=str(folder / "tumour/rows.npz")),
            Pace(RPS, seconds),
            bundle=found.folder,
            pid=parent.pid,
        )
        print(report.as_text())
    cold = cold_start.measure(found.folder, runs=5)
    announce("6 of 7", "the sized Knative manifest, and the commands for it")
    manifest = folder / "tumour.yaml"
    run(SNOOZE, "deploy", str(models / "tumour"), "--image", "registry.example.com/tumour:1", "--rps", str(RPS),
        "--output", str(manifest))  # fmt: skip
    announce("7 of 7", "results")
    summary = {
        "seconds": round(time.time() - started, 1),
        "models": {name: describe(latest(models / name).bundle) for name in ("tumour", "digits")},
        "wake_ms": wake_ms,
        "cold_start": {"wall_ms": cold.wall_ms, "cpu_ms": cold.cpu_ms},
        "load": report.as_dict(),
        "manifest": str(manifest),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print_summary(summary, folder)


def announce(number: str, step: str) -> None:
    """Print the next step."""
    print(f"\n\033[1m[{number}] {step}\033[0m" if sys.stdout.isatty() else f"\n[{number}] {step}", flush=True)


def run(*command: str) -> None:
    """Print a command and run it. If it fails, the demo ends."""
    shown = shlex.join(Path(word).name if word in (sys.executable, SNOOZE) else word for word in command)
    print(f"$ {shown}", flush=True)
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(f"scripts/demo: '{shown}' ended with exit code {code}")


def convert(trained: Path, models: Path, file: str, *options: str) -> None:
    """Convert the trained model in a folder, with the held-out rows beside it."""
    run(SNOOZE, "convert", str(trained / file), "--name", trained.name, "--target", str(models),
        "--data", str(trained / "rows.npz"), *options)  # fmt: skip


@contextmanager
def serve(models: Path, log: Path) -> Iterator[tuple[psutil.Process, str]]:
    """Run `snooze serve --idle` on a free port; yield the parent that holds the socket, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = (SNOOZE, "serve", str(models), "--port", str(port), "--idle", f"{IDLE:g}s")
    print(f"$ {shlex.join(['snooze', *command[1:]])} &", flush=True)
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            parent = psutil.Process(process.pid)
            cores = parent.cpu_affinity()
            parent.cpu_affinity(cores[:1])  # the load generator uses the others
            wait_until("the socket is open", lambda: "waiting" in log.read_text())
            yield parent, f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_until(condition: str, holds: Callable[[], bool]) -> None:
    """Wait until `holds()`, or end the demo."""
    end = time.monotonic() + MAX_WAIT_SECONDS
    while not holds():
        if time.monotonic() > end:
            sys.exit(f"scripts/demo: after {MAX_WAIT_SECONDS:g} s it is still not true that {condition}")
        time.sleep(0.01)


def wake(parent: psutil.Process, url: str, bundle: Bundle, sample: Sample) -> float:
    """Wait until the server has ended; return the milliseconds from the request that wakes it to the right answer."""
    wait_until("no server runs", lambda: all(child.status() == psutil.STATUS_ZOMBIE for child in parent.children()))
    payload = v2.encode(sample.inputs, bundle.inputs, "samples.npz")
    model = v2.ServedModel(Address.parse(url), bundle.name)
    start = time.perf_counter()
    answer = exchange(model.address, "POST", f"{model.path}/infer", payload)
    elapsed_ms = (time.perf_counter() - start) * 1e3
    for name, got in v2.decode(answer).items():
        if not matches(got, sample.outputs[name], bundle.tolerance[name]):
            sys.exit(f"scripts/demo: output {name!r} of the first answer is wrong: {got}")
    print(f"no server was running; a request started it and got the right answer after {elapsed_ms:.0f} ms", flush=True)
    return round(elapsed_ms, 1)


def predict_with_triton(url: str, sample: Sample) -> None:
    """Predict one row with the unmodified client of Triton."""
    row = sample.inputs["features"][:1]
    with tritonclient.http.InferenceServerClient(url.removeprefix("http://")) as client:
        tensor = tritonclient.http.InferInput("features", list(row.shape), "FP32")
        tensor.set_data_from_numpy(row)
        answer = client.infer("tumour", [tensor])
        print("tritonclient:", answer.as_numpy("label"), answer.as_numpy("probabilities"))


def describe(bundle: Bundle) -> dict[str, Any]:
    """Return the evidence of a bundle for the summary."""
    evidence = read_evidence(bundle)
    chosen = next((one for one in evidence.candidates if one.name == evidence.chosen), None)
    assert evidence.evaluation is not None, "the demo converts with labelled rows"
    return {
        "parity_worst": evidence.parity.data.worst,
        "flips": evidence.parity.data.flips,
        "chosen": evidence.chosen,
        "speedup": (chosen and chosen.speedup) or 1.0,  # none is known where nothing could be quantized
        "score_before": evidence.evaluation.before,
        "score_after": evidence.evaluation.after,
    }


def print_summary(summary: dict[str, Any], folder: Path) -> None:
    """Print the closing table, the reports and what to try next."""
    rows = [
        (
            name,
            "{chosen} ({speedup:.2f} x fp32), score {score_before:.4f} before, {score_after:.4f} after".format(**model),
        )
        for name, model in summary["models"].items()
    ]
    rows += [
        ("wake from zero to right answer", ", ".join(f"{ms:.0f}" for ms in summary["wake_ms"]) + " ms"),
        ("spawn to right answer, no --idle", "{wall_ms:.0f} ms, {cpu_ms:.0f} ms CPU".format(**summary["cold_start"])),
        ("load test: requests/s, errors", "{achieved_rps:.0f}, {errors}".format(**summary["load"])),
        ("seconds in total", f"{summary['seconds']:.0f}"),
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=Path("build/demo"), help="created anew; the demo writes nowhere else"
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="duration of the load test (8)")
    arguments = parser.parse_args()
    try:
        main(arguments.folder, arguments.seconds)
    except KeyboardInterrupt:
        sys.exit(130)
