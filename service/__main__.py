"""`python -m snooze.service`: the image's entry point. All its settings come from the environment."""

import gc

gc.disable()  # first of all: what is imported stays, and collecting garbage meanwhile costs 10 ms

import os  # noqa: E402
import sys  # noqa: E402

from snooze.service.process.startup_timer import StartupTimer  # noqa: E402


def main() -> int:
    """Serve as the environment says; return the exit code."""
    timer = StartupTimer()
    from snooze.bundle.errors import SnoozeError
    from snooze.service.process.start import serve
    from snooze.service.settings import Settings

    try:
        return serve(Settings.from_environ(os.environ), timer)
    except SnoozeError as error:
        print(f"snooze: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
