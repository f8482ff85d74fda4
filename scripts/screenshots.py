"""
Take the screenshots of the documentation with Chromium: docs/screenshots.

They show only data that may be republished: iris, which comes with scikit-learn, and Fashion-MNIST (MIT), which is in
FOLDER.

    python -m scripts.screenshots [--data FOLDER]
"""

import argparse
import io
import tempfile
from base64 import b64decode
from pathlib import Path
from typing import Final

from scripts.inputs import fashion, serve
from tests.service.pages.browser import Browser, start

from snooze.convert import convert

TARGET: Final = Path(__file__).parents[1] / "docs" / "screenshots"
FLOWER: Final = (5.9, 3.0, 5.1, 1.8)  # of iris
SPECIES: Final = ("setosa", "versicolor", "virginica")
WIDE: Final = 1000
PHONE: Final = 360
ANSWERED: Final = "document.querySelector('#status .headline')"


def main(data: Path) -> None:
    """Train, convert and serve two models, and take each screenshot."""
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train_iris(folder)
        case = fashion(data, folder)
        picture = folder / "shirt.png"
        picture.write_bytes(case.rows[0])
        convert(case.source, name="fashion", target=folder / "models", **case.options)
        convert(
            folder / "iris.joblib",
            name="iris",
            target=folder / "models",
            trust=True,
            data=folder / "iris.csv",
            label="species",
            labels=SPECIES,
        )
        with serve(folder / "models") as url, start(folder / "profile") as browser:
            show_row(browser, url, WIDE, dark=False)
            take(browser, "page-table-light")
            show_picture(browser, url, picture, WIDE, dark=True)
            take(browser, "page-picture-dark")
            show_picture(browser, url, picture, PHONE, dark=False)
            take(browser, "page-picture-phone", height=1080)
            browser.open(url, WIDE)
            take(browser, "page-list-light", height=300)


def train_iris(folder: Path) -> None:
    """Write a model of iris, and the rows that it was not trained on."""
    import joblib
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    rows, species = load_iris(return_X_y=True, as_frame=True)
    rows.columns = [name.removesuffix(" (cm)") for name in rows.columns]
    learnt, rest, known, labels = train_test_split(rows, species, random_state=0)
    joblib.dump(LogisticRegression(max_iter=1000).fit(learnt, known), folder / "iris.joblib")
    rest.assign(species=labels).to_csv(folder / "iris.csv", index=False)


def show_row(browser: Browser, url: str, width: int, dark: bool) -> None:
    """Show the answer to a row of the table."""
    browser.open(f"{url}/?model=iris", width, dark)
    for number, value in enumerate(FLOWER):
        browser.fill(f"#column-{number}", str(value))
    predict(browser)


def show_picture(browser: Browser, url: str, picture: Path, width: int, dark: bool) -> None:
    """Show the answer to a picture."""
    browser.open(f"{url}/?model=fashion", width, dark)
    browser.find("#picture").send_keys(str(picture))
    predict(browser)


def predict(browser: Browser) -> None:
    """Press the button twice: the first answer counts the cold start."""
    for _ in range(2):
        browser.run("document.getElementById('status').replaceChildren()")
        browser.find("button[type=submit]").click()
        browser.wait_for(ANSWERED)
    browser.run("document.activeElement.blur()")
    browser.wait_for("document.getAnimations().length === 0")  # bars grow


def take(browser: Browser, name: str, height: int | None = None) -> None:
    """Write what the page shows, or its upper part, as a small PNG file."""
    from PIL import Image

    size = browser.run("const e = document.documentElement; return [innerWidth, e.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": size[0], "height": height or size[1], "scale": 1}
    found = browser.driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    shown = Image.open(io.BytesIO(b64decode(found["data"]))).convert("RGB")
    path = TARGET / f"{name}.png"
    # Few colours, among them those of small parts.
    shown.quantize(method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="FOLDER")
    main(parser.parse_args().data)
