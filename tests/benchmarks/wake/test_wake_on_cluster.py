"""
Wakes on a real Knative, whose phases are all there.

Run inside the cluster's network, with `kubectl` on the PATH. SNOOZE_CLUSTER names its command, SNOOZE_CLUSTER_IMAGE
the image of a bundle:

    SNOOZE_CLUSTER=cluster SNOOZE_CLUSTER_IMAGE=registry.local:5000/tumour:1 \\
        cluster exec -- .venv/bin/python -m pytest tests/benchmarks/wake/test_wake_on_cluster.py
"""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from snooze.benchmarks.wake.phases import PHASES
from snooze.cli import main

pytestmark = pytest.mark.cluster
MANIFEST = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {{name: {name}}}
spec:
  template:
    metadata: {{annotations: {{autoscaling.knative.dev/window: 6s, autoscaling.knative.dev/min-scale: "{min_scale}"}}}}
    spec:
      automountServiceAccountToken: false
      containers:
        - image: {image}
          readinessProbe: {{httpGet: {{path: /readyz}}}}
          resources: {{requests: {{cpu: 50m}}}}
          securityContext:
            allowPrivilegeEscalation: false
            capabilities: {{drop: [ALL]}}
            runAsNonRoot: true
            seccompProfile: {{type: RuntimeDefault}}
"""


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[str]:
    image = os.environ.get("SNOOZE_CLUSTER_IMAGE")
    if not os.environ.get("SNOOZE_CLUSTER") or not image:
        pytest.skip("no cluster: SNOOZE_CLUSTER or SNOOZE_CLUSTER_IMAGE is not set")
    name = f"wake-{uuid.uuid4().hex[:8]}"
    manifest = MANIFEST.format(name=name, image=image, min_scale=getattr(request, "param", "0"))
    try:
        subprocess.run(["kubectl", "apply", "--filename=-"], input=manifest, text=True, check=True, capture_output=True)
        subprocess.run(["kubectl", "wait", f"ksvc/{name}", "--for=condition=Ready", "--timeout=120s"], check=True)
        yield name
    finally:
        subprocess.run(["kubectl", "delete", "ksvc", name, "--ignore-not-found"], check=True, capture_output=True)


def test_a_wake_is_measured_phase_by_phase(service: str, tmp_path: Path) -> None:
    assert main(["bench", "cold", "--knative", service, "-n", "2", "--skip-drain", "--output", f"{tmp_path}/wake"]) == 0

    figures = json.loads((tmp_path / "wake.json").read_text())["figures"][service]
    assert figures["wakes"] == 2
    for wake in figures["runs"]:
        phases = wake["phases"]
        assert list(phases) == list(PHASES)
        assert min(phases.values()) >= 0
        assert {"autoscale", "containers", "process", "answer"} <= {name for name, seconds in phases.items() if seconds}
        assert wake["ledger"]["wall"]["imports"] > 0
    assert 0.1 < figures["min"] <= figures["max"] < 60


@pytest.mark.parametrize("service", ["1"], indirect=True)
def test_a_service_with_min_scale_is_refused(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "cold", "--knative", service, "-n", "1"]) == 2

    assert "never scales to zero" in capsys.readouterr().err
