"""The manifest of a Knative Service for one bundle; `reasons.py` explains its fields."""

from typing import Any, Final

from snooze.bundle.contract import Bundle
from snooze.bundle.evidence import read_evidence
from snooze.knative.manifest.figures import PROBE_PERIOD, probe_failures, start_timeout
from snooze.knative.manifest.names import label_value, revision_of, tag_of
from snooze.knative.manifest.options import BODY_VARIABLE, Options
from snooze.knative.manifest.quantities import format_cpu, format_memory
from snooze.knative.sizing.size import Size

API_VERSION: Final = "serving.knative.dev/v1"
AUTOSCALING: Final = "autoscaling.knative.dev/"
RETENTION: Final = f"{AUTOSCALING}scale-to-zero-pod-retention-period"
PORT: Final = 8080
SCRATCH: Final = "scratch"
# Knative's own name and the default of the readiness probe are written out: to apply a manifest again without what
# Knative has filled in meanwhile is refused, as a change of a revision that keeps its name.
CONTAINER: Final = "user-container"


def build(bundle: Bundle, digest: str, size: Size, options: Options) -> dict[str, Any]:
    """
    Return the manifest; `digest` is the SHA-256 of the bundle's `bundle.json`, `size` has the options' figures.

    Raises:
        InvalidOption: the name is too long for that of the revision.
    """
    labels = {
        "app.kubernetes.io/name": label_value(bundle.name),
        "app.kubernetes.io/version": str(bundle.version),
        "app.kubernetes.io/managed-by": "snooze",
    }
    visibility = {"networking.knative.dev/visibility": "cluster-local"} if options.private else {}
    model = describe(bundle, digest)
    template = {
        "metadata": {"labels": dict(labels), "annotations": model | _scaling(size, options)},
        "spec": _pod(bundle, size, options),
    }
    tag = tag_of(bundle.version, template)
    revision = revision_of(options.name, tag)
    return {
        "apiVersion": API_VERSION,
        "kind": "Service",
        "metadata": {
            "name": options.name,
            "namespace": options.namespace,
            "labels": labels | visibility,
            "annotations": dict(model),
        },
        "spec": {
            "template": {**template, "metadata": {"name": revision, **template["metadata"]}},
            "traffic": [{"revisionName": revision, "percent": 100, "tag": tag, "latestRevision": False}],
        },
    }


def describe(bundle: Bundle, digest: str) -> dict[str, str]:
    """Return the annotations that tell which bundle is served, and how good it is."""
    evaluation = read_evidence(bundle).evaluation
    score = {} if evaluation is None else {"snooze/score": f"{evaluation.metric} {evaluation.after:.4f}"}
    return {"snooze/bundle": digest, "snooze/model": bundle.name, "snooze/version": str(bundle.version), **score}


def max_scale(size: Size, options: Options) -> int:
    """Return the most pods: the option's, or room for twice the load."""
    return options.max_scale if options.max_scale is not None else max(2 * size.pods, options.min_scale)


def _scaling(size: Size, options: Options) -> dict[str, str]:
    values = {
        "max-scale": str(max_scale(size, options)),
        "metric": "concurrency",
        "min-scale": str(options.min_scale),
        "target": str(size.target),
        "target-burst-capacity": str(size.burst_capacity),
        "window": f"{int(options.window)}s",
    }
    retention = {RETENTION: f"{int(options.retention)}s"} if options.retention else {}
    return {f"{AUTOSCALING}{name}": value for name, value in values.items()} | retention


def _pod(bundle: Bundle, size: Size, options: Options) -> dict[str, Any]:
    secrets = [{"name": name} for name in options.pull_secret]
    optional = {
        "imagePullSecrets": secrets,
        "serviceAccountName": options.service_account,
        "volumes": [{"name": SCRATCH, "emptyDir": {}}] if options.scratch else [],
    }
    return {
        "automountServiceAccountToken": False,
        "containerConcurrency": size.concurrency,
        "containers": [_container(bundle, size, options)],
        "enableServiceLinks": False,
        "timeoutSeconds": int(options.timeout),
        **{name: value for name, value in optional.items() if value},
    }


def _container(bundle: Bundle, size: Size, options: Options) -> dict[str, Any]:
    environment = {BODY_VARIABLE: str(size.max_body), **options.environment}
    user = {} if options.user is None else {"runAsUser": options.user}
    mounts = {"volumeMounts": [{"name": SCRATCH, "mountPath": "/tmp"}]} if options.scratch else {}  # noqa: S108 - in the container
    return {
        "name": CONTAINER,
        "image": options.image,
        "env": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        "livenessProbe": {
            "httpGet": {"path": "/healthz"},
            "initialDelaySeconds": start_timeout(bundle, size, options),
            "periodSeconds": PROBE_PERIOD,
            "timeoutSeconds": PROBE_PERIOD,
            "failureThreshold": probe_failures(options),
        },
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/readyz"}, "successThreshold": 1},
        "resources": {
            "limits": {
                "cpu": options.cpu_limit or format_cpu(size.cpu_limit),
                "memory": options.memory_limit or format_memory(size.memory_limit),
            },
            "requests": {
                "cpu": options.cpu_request or format_cpu(size.cpu_request),
                "memory": options.memory_request or format_memory(size.memory_request),
            },
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            **user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **mounts,
    }
