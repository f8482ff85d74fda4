"""
Train a small convolutional net on the handwritten digits of scikit-learn, and save the held-out pictures.

    python examples/digits/train.py FOLDER      writes model.keras and rows.npz (inputs by name, classes as y)
"""

import argparse
import os
from pathlib import Path

import numpy as np


def main(folder: Path, epochs: int) -> None:
    """Write the trained net and the held-out pictures into `folder`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # it prints a notice to stderr
    import keras
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    keras.utils.set_random_seed(0)
    pictures, classes = load_digits(return_X_y=True)
    pictures = (pictures / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    train, test, train_classes, test_classes = train_test_split(
        pictures, classes, test_size=0.4, random_state=0, stratify=classes
    )
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="picture"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, activation="softmax", name="probabilities"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(train, train_classes, epochs=epochs, batch_size=64, verbose=0)
    accuracy = float(np.mean(model.predict(test, verbose=0).argmax(1) == test_classes))
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")
    np.savez(folder / "rows.npz", picture=test, y=test_classes)
    print(f"trained on {len(train)} pictures; accuracy on {len(test)} held-out pictures: {accuracy:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the digits net.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    main(arguments.folder, arguments.epochs)
