"""A cluster of one Knative Service that is no cluster: a `kubectl` on the PATH, and an HTTP server behind the URL."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from snooze.knative.kubectl import SERVICE_LABEL

NAME = "hello"
LABELS = {SERVICE_LABEL: NAME}
PRIVATE = {**LABELS, "networking.internal.knative.dev/serviceType": "Private"}
KUBECTL = """\
#!{python}
# Answers from the files beside it; a watch follows its file.
import json, pathlib, sys, time
folder, arguments = pathlib.Path(__file__).parent, sys.argv[1:]
if "--raw" in arguments:
    kind = arguments[-1].partition("?")[0].rpartition("/")[2]
    if (folder / "forbidden").exists():
        sys.exit("Error from server (Forbidden): " + kind + " is forbidden")
    with open(folder / kind, encoding="utf-8") as file:
        for _ in range(1200):
            if line := file.readline():
                print(line, end="", flush=True)
                if "END" in line:
                    sys.exit()
            else:
                time.sleep(0.05)
elif "delete" in arguments:
    pods = [one for one in arguments[arguments.index("pods") + 1:] if not one.startswith("--")]
    with open(folder / "pods", "a", encoding="utf-8") as file:
        for pod in pods:
            deleted = {{"kind": "Pod", "metadata": {{"name": pod, "labels": {labels}}}}}
            file.write(json.dumps({{"type": "DELETED", "object": deleted}}) + "\\n")
else:
    print((folder / arguments[3]).read_text("utf-8"), end="")
"""


class Double:
    """The files that `kubectl` answers from, and how often the service was asked; a pod begins to end after 0.3 s."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.status = 200
        self.wakes = 0
        self.most_wakes = 1000  # those that are answered by `status`; later ones by 503
        self.ends = True
        self._awake = False
        kubectl = folder / "kubectl"
        kubectl.write_text(KUBECTL.format(python=sys.executable, labels=LABELS), "utf-8")
        kubectl.chmod(0o755)
        for kind in ("pods", "deployments", "endpointslices"):
            (folder / kind).touch()
        self.service: dict[str, Any] = {"status": {"url": url, "traffic": [{"revisionName": "hello-00001"}]}}
        self.annotate("0")
        self.write_service()

    def write_service(self) -> None:
        text = json.dumps(self.service) if self.service else ""
        (self.folder / "services.serving.knative.dev").write_text(text, "utf-8")

    def annotate(self, min_scale: str) -> None:
        annotations = {"autoscaling.knative.dev/min-scale": min_scale}
        revision = {"metadata": {"name": "hello-00001", "annotations": annotations}}
        (self.folder / "revisions.serving.knative.dev").write_text(json.dumps({"items": [revision]}), "utf-8")

    def change(self, kind: str, event: str, **document: Any) -> None:
        """Let a watch bring the news of a change."""
        with (self.folder / f"{kind.lower()}s").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"type": event, "object": {"kind": kind, **document}}) + "\n")

    def wake(self) -> None:
        """Do what a cluster does for a request to a service without a pod."""
        if self._awake:
            return
        self._awake, self.wakes = True, self.wakes + 1
        meta = {"name": f"pod-{self.wakes}", "labels": LABELS}
        self.change("Deployment", "MODIFIED", metadata={"name": "hello", "labels": LABELS}, spec={"replicas": 1})
        self.change("Pod", "ADDED", metadata=meta, spec={})
        pod = {"spec": {"nodeName": "node"}, "status": {"podIP": "10.0.0.1"}}
        self.change("Pod", "MODIFIED", metadata=meta, **pod)
        slice_ = {"name": "hello-private", "labels": PRIVATE}
        self.change("EndpointSlice", "MODIFIED", metadata=slice_, endpoints=[{"addresses": ["10.0.0.1"]}])
        if self.ends:
            threading.Timer(0.3, self._end, [meta, pod]).start()

    def _end(self, meta: dict[str, Any], pod: dict[str, Any]) -> None:
        self._awake = False
        self.change("Pod", "MODIFIED", metadata={**meta, "deletionTimestamp": "now"}, **pod)


@pytest.fixture
def knative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.wake()
            self.send_response(found.status if found.wakes <= found.most_wakes else 503)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Double(tmp_path, f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield found
        server.shutdown()
        thread.join()
