"""Rows to ask with that suit a model: sounds, pictures, texts, files."""

import gzip
import sys
from pathlib import Path
from typing import Final

import numpy as np
from scripts.models.entry import Array

SAMPLE_RATE: Final = 16_000


def sounds(rows: int, samples: int) -> Array:
    """Return voiced sounds: harmonics of a tone that rises and falls, and some noise; between -1 and 1."""
    random = np.random.default_rng(0)
    seconds = np.arange(samples) / SAMPLE_RATE
    tones = random.uniform(90, 240, (rows, 1)) * (1 + 0.1 * np.sin(2 * np.pi * 3 * seconds))
    phases = 2 * np.pi * np.cumsum(tones, 1) / SAMPLE_RATE
    voices = sum(np.sin(harmonic * phases) / harmonic for harmonic in range(1, 12))
    loudness = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * seconds)
    return np.asarray(0.2 * voices * loudness + random.normal(0, 0.01, (rows, samples)), np.float32)


def pictures(rows: int, height: int, width: int, least: float = 0.0, most: float = 1.0) -> Array:
    """Return pictures of three colours with smooth shapes."""
    random = np.random.default_rng(0)
    down, across = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None]
    shapes = np.zeros((rows, height, width, 3))
    for wave in range(1, 6):
        turn = random.uniform(0, 2 * np.pi, (rows, 1, 1, 3))
        tilt = random.uniform(-np.pi, np.pi, (rows, 1, 1, 3, 2))
        waves = tilt[..., 0] * down[None, :, :, None] + tilt[..., 1] * across[None, :, :, None]
        shapes += np.sin(2 * wave * waves + turn) / wave
    shapes += random.normal(0, 0.05, shapes.shape)
    low, high = shapes.min(), shapes.max()
    return np.asarray(least + (most - least) * (shapes - low) / (high - low), np.float32)


def noise(*shape: int) -> Array:
    """Return features with mean 0 and deviation 1."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def file_contents(count: int) -> list[bytes]:
    """Return files of several kinds: Python's sources, programs, and archives of sources."""
    sources = sorted(Path(np.__file__).parent.glob("*.py"))
    found = [path.read_bytes() for path in sources if path.stat().st_size > 4096][: count - 2]
    return [*found, Path(sys.executable).read_bytes()[:1_000_000], gzip.compress(found[0])]


def texts(count: int) -> list[str]:
    """Return sentences of the descriptions that come with scikit-learn's data, some with words of other languages."""
    from sklearn import datasets

    lines = datasets.load_breast_cancer().DESCR.splitlines() + datasets.load_diabetes().DESCR.splitlines()
    sentences = [" ".join(line.split()) for line in lines if len(line.split()) > 5]
    return [*sentences[: count - 2], "Größe, Übergewicht, café: a naïve résumé", "YOU ARE A STUPID IDIOT, shut up"]
