"""`python -m snooze.service`: the image's entry point. Everything it can be told stands in the environment."""

import gc

gc.disable()  # first of all: what is imported stays, and looking through it again and again costs 10 ms

import os  # noqa: E402
import sys  # noqa: E402

from snooze.service.ledger import Ledger, process_start  # noqa: E402


def main() -> int:
    """Serve what the environment says; return the exit code."""
    ledger = Ledger(process_start())
    ledger.mark("interpreter")
    from snooze.bundle.errors import BundleError
    from snooze.service.errors import ServiceError
    from snooze.service.settings import Settings
    from snooze.service.start import serve

    try:
        return serve(Settings.from_environ(os.environ), ledger)
    except (BundleError, ServiceError) as error:
        print(f"snooze: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 2)


if __name__ == "__main__":
    sys.exit(main())
