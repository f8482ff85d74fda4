"""A process that writes bundles: `draft_process.py REPOSITORY HOW TIMES CONTRACT`. Run by test_draft.py."""

import resource
import signal
import sys
from pathlib import Path

from snooze.bundle.codec import decode
from snooze.bundle.draft import Draft


def main(repository: Path, how: str, times: int) -> None:
    """Write versions of a bundle, each with many small writes, and print the folder of each."""
    print("ready", flush=True)
    if how != "limited":
        write(repository, how, times)
        return
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, most))
    try:
        write(repository, how, times)
    finally:  # what measures coverage writes its file at the end
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def write(repository: Path, how: str, times: int) -> None:
    for _ in range(times):
        with Draft(repository, "tumour") as draft:
            (draft.folder / "samples.npz").write_bytes(b"s" * 1000)
            for begin in range(0, 100_000, 1000):  # many small writes, so that a signal often comes between two of them
                with (draft.folder / "model.onnx").open("ab") as file:
                    file.write(b"m" * 1000)
                if how == "half" and begin == 50_000:
                    print("half", flush=True)
            print(draft.publish(decode(sys.argv[4])), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
