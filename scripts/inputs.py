"""
Send raw inputs to served models, and compare the answers with those of the frameworks that trained the models.

Pictures (Fashion-MNIST as PNG, CIFAR-10 as JPEG), questions (TREC) and rows of a table with numbers, texts and missing
values (cars) are sent one by one to `/predict` as they are. The expected answers come from Keras' own `load_img` and
the network, and from the scikit-learn pipeline with texts or a dataframe. Each model is trained here, converted by
`snooze convert` with the adapter that it infers, and served by `snooze serve`.

    python -m scripts.inputs [--data FOLDER] [--only NAME ...] [--json FILE]

The data of pictures and questions are in FOLDER; a set that is not there is left out, and said so. The cars come from
the wheel vega_datasets, which is downloaded.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from scripts.models.wheels import cache_folder, extract

from snooze.bundle.adapters import registry
from snooze.bundle.store import read
from snooze.convert import convert

TOLERANCE: Final = 1e-4  # of a probability
SEED: Final = 20261122
Answer = Callable[[Sequence[Any]], tuple[list[str], Any]]  # labels and probabilities of raw rows


@dataclass
class Case:
    """A trained model, the data for its conversion, and raw rows that it was not trained on."""

    name: str
    source: Path
    options: dict[str, Any]  # of the conversion
    rows: Sequence[Any]  # raw
    content_type: str
    answer: Answer

    def body(self, row: Any) -> bytes:
        """Return the body of the request for one raw row."""
        return row if isinstance(row, bytes) else json.dumps({"rows": [row]}).encode()


@dataclass
class Result:
    """What a case showed. Times are seconds: of one raw row in the adapter, of its request, of the adapter at start."""

    name: str
    adapter: str
    rows: int
    labels_differ: int
    worst: float
    adapter_seconds: float
    request_seconds: float
    start_cpu_seconds: float


def fashion(data: Path, folder: Path) -> Case:
    """Grey pictures as PNG; the network scales them itself."""
    import keras

    file = np.load(data / "fashion_mnist/fashion_mnist_subset.npz")
    classes = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"]
    names = sorted(classes)  # as folders have them
    ranks = np.array([names.index(name) for name in classes])
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax"),
        ]
    )  # fmt: skip
    train(model, file["x_train"][..., None], ranks[file["y_train"]])
    pictures = [encode(one, "PNG") for one in file["x_test"]]
    chosen = write_pictures(folder / "pictures", pictures[:400], [classes[label] for label in file["y_test"]])
    return keras_case("fashion-mnist", model, folder, chosen, pictures[400:], names, "image/png", "grayscale", 1.0)


def cifar(data: Path, folder: Path) -> Case:
    """Photographs as JPEG; the network was trained on values from 0 to 1, which its file does not tell."""
    import keras

    with zipfile.ZipFile(data / "cifar10_jpg/cifar10_train_4000.zip") as archive:
        files = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        pictures = [archive.read(name) for name in files]
    names = sorted({name.split("/")[0] for name in files})
    labels = np.array([names.index(name.split("/")[0]) for name in files])
    order = np.random.default_rng(SEED).permutation(len(files))
    values = np.stack([load_picture(pictures[place], "rgb", (32, 32)) for place in order[:2500]]) / 255
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)), keras.layers.Conv2D(32, 3, activation="relu"), keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, activation="relu"), keras.layers.MaxPooling2D(), keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )  # fmt: skip
    train(model, values, labels[order[:2500]])
    chosen = [pictures[place] for place in order[2500:2900]]
    written = write_pictures(folder / "pictures", chosen, [names[labels[place]] for place in order[2500:2900]])
    rest = [pictures[place] for place in order[2900:]]
    return keras_case("cifar-10", model, folder, written, rest, names, "image/jpeg", "rgb", 1 / 255)


def trec(data: Path, folder: Path) -> Case:
    """Questions; the pipeline counts words and word pairs."""
    import skops.io
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    def questions(name: str, encoding: str) -> tuple[list[str], list[str]]:
        lines = (data / "trec_qc" / name).read_text(encoding).splitlines()
        return [line.split(" ", 1)[1] for line in lines], [line.split(":")[0] for line in lines]

    texts, topics = questions("train_5500.label", "latin-1")
    rows, _ = questions("TREC_10.label", "utf-8")
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000)).fit(texts, topics)
    skops.io.dump(model, folder / "model.skops")
    lines = [json.dumps({"question": text, "topic": topic}) for text, topic in zip(texts, topics, strict=True)]
    (folder / "rows.jsonl").write_text("\n".join(lines[:1000]))
    options = {"data": folder / "rows.jsonl", "label": "topic"}
    return sklearn_case("trec", model, folder, options, rows, list)


def cars(data: Path, folder: Path) -> Case:
    """Rows of a table with numbers, texts and missing values."""
    import pandas
    import skops.io
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    path = extract("vega-datasets", "vega_datasets/_data/cars.json", cache_folder(), folder)
    table = pandas.DataFrame(json.loads(path.read_text()))
    table["Brand"] = table.pop("Name").str.split().str[0]
    table = table.sample(frac=1, random_state=SEED)
    label = table["Origin"]
    rows = table.drop(columns=["Origin", "Year"])
    model = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["Brand"]),
            (SimpleImputer(), [name for name in rows if name != "Brand"]),
        ),
        GradientBoostingClassifier(n_estimators=50),
    ).fit(rows[:200], label[:200])
    skops.io.dump(model, folder / "model.skops")
    rows.assign(Origin=label)[:200].to_csv(folder / "rows.csv", index=False)
    raw = [{name: None if value != value else value for name, value in row.items()} for row in rows.to_dict("records")]
    # Its trees are types that skops does not know to be safe.
    options = {"data": folder / "rows.csv", "label": "Origin", "trust": True}
    return sklearn_case("cars", model, folder, options, raw, pandas.DataFrame)


CASES: Final[dict[str, Callable[[Path, Path], Case]]] = {
    "fashion-mnist": fashion, "cifar-10": cifar, "trec": trec, "cars": cars,
}  # fmt: skip


def train(model: Any, values: Any, labels: Any) -> None:
    """Train a network for a short while: that it is good is not the point."""
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(values, labels, epochs=3, batch_size=64, verbose=0)


def keras_case(
    name: str,
    model: Any,
    folder: Path,
    data: Path,
    rows: Sequence[bytes],
    names: list[str],
    content_type: str,
    color: str,
    scale: float,
) -> Case:
    """Return the case of a network that answers what Keras itself has read and scaled."""
    model.save(folder / "model.keras")
    size = model.input_shape[1:3]

    def answer(raw: Sequence[bytes]) -> tuple[list[str], Any]:
        scores = model.predict(np.stack([load_picture(one, color, size) for one in raw]) * scale, verbose=0)
        return [names[place] for place in scores.argmax(1)], scores

    options = {"data": data, "labels": tuple(names)}
    return Case(name, folder / "model.keras", options, rows, content_type, answer)


def sklearn_case(
    name: str,
    model: Any,
    folder: Path,
    options: dict[str, Any],
    rows: Sequence[Any],
    collect: Callable[[Sequence[Any]], Any],
) -> Case:
    """Return the case of a pipeline that takes rows as `collect` returns them."""

    def answer(raw: Sequence[Any]) -> tuple[list[str], Any]:
        collected = collect(raw)
        return model.predict(collected).tolist(), model.predict_proba(collected)

    return Case(name, folder / "model.skops", options, rows, "application/json", answer)


def load_picture(content: bytes, color: str, size: tuple[int, int]) -> Any:
    """Return a picture as Keras reads it."""
    import keras

    return keras.utils.img_to_array(keras.utils.load_img(io.BytesIO(content), color_mode=color, target_size=size))


def encode(values: Any, suffix: str) -> bytes:
    """Return values from 0 to 255 as the content of a picture file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(values).save(file, suffix)
    return file.getvalue()


def write_pictures(folder: Path, pictures: Sequence[bytes], labels: Sequence[str]) -> Path:
    """Write pictures into a folder for each class, and return the folder of these."""
    for number, (content, label) in enumerate(zip(pictures, labels, strict=False)):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{number:05d}.{'jpg' if content[:2] == bytes.fromhex('ffd8') else 'png'}").write_bytes(
            content
        )
    return folder


@contextmanager
def serve(models: Path) -> Iterator[str]:
    """Serve the models on a free port, and yield the address."""
    command = [sys.executable, "-m", "snooze.cli", "serve", str(models), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        if " on http" not in line:
            sys.exit(f"the server does not start: {line}")
        try:
            yield line.split(" on ", 1)[1].split()[0]
        finally:
            process.terminate()


def compare(case: Case, models: Path) -> Result:
    """Convert and serve a model, and ask for each raw row."""
    converted = convert(case.source, name=case.name, target=models, quantize="none", **case.options)
    labels, scores = case.answer(case.rows)
    predictions, seconds = [], []
    with serve(converted.folder) as url, httpx.Client(base_url=url, timeout=60) as client:
        for row in case.rows:
            begun = time.perf_counter()
            response = client.post("/predict", content=case.body(row), headers={"content-type": case.content_type})
            seconds.append(time.perf_counter() - begun)
            predictions.append(response.raise_for_status().json()["predictions"][0])
        lines = client.get("/metrics").text.splitlines()
    cpu = next(line for line in lines if line.startswith('snooze_cold_start_seconds{phase="adapter",clock="cpu"}'))
    got = np.array([list(one["probabilities"].values()) for one in predictions])
    return Result(
        name=case.name,
        adapter=str((converted.bundle.adapter or {}).get("kind")),
        rows=len(case.rows),
        labels_differ=sum(one["label"] != label for one, label in zip(predictions, labels, strict=True)),
        worst=float(np.abs(got - scores).max()),
        adapter_seconds=measure_adapter(converted.folder, case.rows),
        request_seconds=statistics.median(seconds),
        start_cpu_seconds=float(cpu.split()[-1]),
    )


def measure_adapter(folder: Path, rows: Sequence[Any]) -> float:
    """Return the median time in which the adapter makes the inputs of one raw row."""
    adapter = registry.load(read(folder), folder)
    assert adapter is not None
    seconds = []
    for row in rows[:500]:
        begun = time.perf_counter()
        adapter.apply([row])
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def main() -> int:
    """Print the results as a table, and return 1 if an answer differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="FOLDER")
    parser.add_argument("--only", nargs="+", choices=tuple(CASES), default=tuple(CASES), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    results = []
    with tempfile.TemporaryDirectory() as work:
        for name in arguments.only:
            folder = Path(work) / name
            folder.mkdir()
            try:
                case = CASES[name](arguments.data, folder)
            except FileNotFoundError as error:
                print(f"{name}: left out, because {error.filename} does not exist")
                continue
            results.append(compare(case, Path(work) / "models"))
    print("| data | adapter | rows | labels differ | worst difference | adapter, 1 row | request | start, CPU |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for one in results:
        found = f"{one.name} | {one.adapter} | {one.rows} | {one.labels_differ} | {one.worst:.1e}"
        times = f"{one.adapter_seconds * 1e6:.0f} us | {one.request_seconds * 1e6:.0f} us"
        print(f"| {found} | {times} | {one.start_cpu_seconds * 1e3:.1f} ms |")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in results], indent=2))
    return int(any(one.labels_differ or one.worst > TOLERANCE for one in results))


if __name__ == "__main__":
    sys.exit(main())
