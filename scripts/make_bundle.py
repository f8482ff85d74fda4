"""
Convert a small real model to try things out: logistic regression on the breast cancer data of scikit-learn.

    python scripts/make_bundle.py REPOSITORY [--name NAME]
"""

import argparse
from pathlib import Path

from snooze.convert import convert


def main(repository: Path, name: str) -> None:
    """Train a model and convert it to the next version of `name` in `repository`."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, classes = load_breast_cancer(return_X_y=True)
    rows = rows.astype(np.float32)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows, classes)
    made = convert(model, name=name, target=repository, data={"features": rows, "y": classes})
    print(made.folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Convert a small real model.")
    parser.add_argument("repository", type=Path)
    parser.add_argument("--name", default="tumour")
    arguments = parser.parse_args()
    main(arguments.repository, arguments.name)
