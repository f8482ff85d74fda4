"""
Train a tumour classifier on the breast cancer data of scikit-learn, and save the held-out rows.

    python examples/tumour/train.py FOLDER      writes model.joblib and rows.npz (inputs by name, classes as y)
"""

import argparse
from pathlib import Path

import joblib
import numpy as np


def main(folder: Path) -> None:
    """Write the trained pipeline and the held-out rows into `folder`."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, classes = load_breast_cancer(return_X_y=True)
    rows = rows.astype(np.float32)  # clients send float32, so train on it
    train, test, train_classes, test_classes = train_test_split(
        rows, classes, test_size=0.4, random_state=0, stratify=classes
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train, train_classes)
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib")
    np.savez(folder / "rows.npz", features=test, y=test_classes)
    accuracy = model.score(test, test_classes)
    print(f"trained on {len(train)} rows; accuracy on {len(test)} held-out rows: {accuracy:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the tumour classifier.")
    parser.add_argument("folder", type=Path)
    main(parser.parse_args().folder)
