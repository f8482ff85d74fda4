"""A cluster whose API server may be away for a while: calls wait for it, for a limited time."""

import time
from typing import Final

from snooze.knative.errors import Conflict, KubectlFailed
from snooze.knative.kubectl import TIMEOUT_SECONDS, Cluster

PATIENCE_SECONDS: Final = 120.0
PAUSE_SECONDS: Final = 2.0
# Kubernetes' words for "later"; None: kubectl got no answer of the server at all.
PASSING: Final = {None, "InternalError", "ServerTimeout", "ServiceUnavailable", "Timeout", "TooManyRequests"}


class PatientCluster(Cluster):
    """Repeats for `PATIENCE_SECONDS` what failed because the API server was away; other errors are raised at once."""

    def run(self, *arguments: str, stdin: str | None = None) -> bytes:
        """Run kubectl as `Cluster` does."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return super().run(*arguments, stdin=stdin)
            except Conflict:
                raise
            except KubectlFailed as error:
                if error.reason not in PASSING or time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE_SECONDS)

    def read_pod(self, name: str, port: int, path: str, seconds: float = TIMEOUT_SECONDS) -> bytes:
        """Ask a pod once: that it does not answer says something about the pod."""
        return Cluster(self.namespace).read_pod(name, port, path, seconds)
