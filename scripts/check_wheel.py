"""
Check the built wheel from inside a clean environment that holds only `snooze[service]`.

    python scripts/check_wheel.py WHEEL REPOSITORY
"""

import re
import subprocess
import sys
import sysconfig
import zipfile
from importlib.util import find_spec
from pathlib import Path

FRAMEWORKS = ("sklearn", "skl2onnx", "onnx", "tensorflow", "keras", "tf2onnx", "locust", "pandas")
PACKAGES = ("bundle", "convert", "service", "client", "knative", "benchmarks")
DATA = (
    "bundle/schema.json",
    "bundle/style.css",
    "knative/image/Dockerfile",
    "knative/image/image.txt",
    "LICENSE",
    "knative/sizing/calibration.json",
    "service/pages/static/docs.css",
    "service/pages/static/icon.svg",
    "service/pages/static/page.css",
    "service/pages/static/page.js",
)


def main(wheel: Path, repository: Path) -> None:
    """Raise AssertionError with the reason unless the wheel is complete and works."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"snooze"}, f"top-level names in the wheel: {sorted(tops)}"
    for needed in (*DATA, *(f"{package}/{file}" for package in PACKAGES for file in ("__init__.py", "py.typed"))):
        assert f"snooze/{needed}" in names, f"snooze/{needed} is not in the wheel"
    installed = [name for name in FRAMEWORKS if find_spec(name)]
    assert not installed, f"snooze[service] installs {installed}"
    import snooze.cli

    site = sysconfig.get_path("purelib")
    assert snooze.cli.__file__.startswith(site), f"{snooze.cli.__file__} is not the installed command"
    snooze_command = Path(sys.executable).with_name("snooze")
    subprocess.run([snooze_command, "--version"], check=True)
    subprocess.run(
        [snooze_command, "inspect", repository / "tumour", "--verify"], check=True, stdout=subprocess.DEVNULL
    )
    serve_once(snooze_command, repository)
    print(f"{wheel.name}: {wheel.stat().st_size / 1024:.0f} KiB, serves from a clean environment")


def serve_once(snooze_command: Path, repository: Path) -> None:
    """Serve the repository, get one answer, and stop with exit code 0."""
    command = [str(snooze_command), "serve", str(repository), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = server.stderr.readline()
        url = re.search(r"http://\S+", line)
        assert url, line
        try:
            subprocess.run([snooze_command, "predict", url[0], "--row", "0.5" + ",0.5" * 29], check=True)
        finally:
            server.terminate()
    assert server.returncode == 0, "the server did not end with exit code 0"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
