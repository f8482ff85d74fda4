"""A process that writes bundles: `draft_process.py REPOSITORY HOW TIMES`. Run by test_draft.py."""

import resource
import signal
import sys
from pathlib import Path

from snooze.bundle.contract import Bundle, Evidence, Profile, Session, Source, Tensor, Tolerance
from snooze.bundle.draft import Draft

CONTRACT = Bundle(
    name="tumour",
    version=1,
    created="2026-11-21T01:02:03Z",
    source=Source("scikit-learn", "1.9.1"),
    inputs=(Tensor("x", "FP32", (-1,)),),
    outputs=(Tensor("y", "FP32", (-1,)),),
    session=Session(),
    tolerance={"y": Tolerance()},
    evidence=Evidence("synthetic"),
    profile=Profile("EPYC"),
    files={},
)


def main(repository: Path, how: str, times: int) -> None:
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
                if how == "waiting" and begin == 50_000:
                    print("half", flush=True)
                    signal.pause()
            print(draft.publish(CONTRACT), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
