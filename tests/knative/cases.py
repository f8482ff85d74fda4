"""
Manifests that are wrong in one place each, and one that is right.

`tests/knative/test_validation.py` checks what our validator says of each, `test_oracle.py` what Knative itself says.
"""

import copy
from dataclasses import dataclass
from typing import Any, Literal

POD = "spec.template.spec"
CONTAINER = "spec.template.spec.containers[0]"
SCALING = "spec.template.metadata.annotations.autoscaling.knative.dev"
DIGEST = "registry.example.com/tumour@sha256:" + "0" * 64

REMOVED: Any = object()

VALID: dict[str, Any] = {
    "apiVersion": "serving.knative.dev/v1",
    "kind": "Service",
    "metadata": {"name": "tumour", "namespace": "default", "labels": {"app.kubernetes.io/name": "tumour"}},
    "spec": {
        "template": {
            "metadata": {
                "annotations": {
                    "autoscaling.knative.dev/min-scale": "0",
                    "autoscaling.knative.dev/max-scale": "4",
                    "autoscaling.knative.dev/window": "60s",
                }
            },
            "spec": {
                "containerConcurrency": 0,
                "timeoutSeconds": 60,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "containers": [
                    {
                        "image": DIGEST,
                        "ports": [{"containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/readyz"}},
                        "resources": {
                            "requests": {"cpu": "50m", "memory": "64Mi"},
                            "limits": {"cpu": "1", "memory": "80Mi"},
                        },
                        "securityContext": {
                            "runAsNonRoot": True,
                            "runAsUser": 65532,
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                            "seccompProfile": {"type": "RuntimeDefault"},
                        },
                        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            },
        }
    },
}


@dataclass(frozen=True)
class Case:
    """
    `VALID` with something changed: `changes` maps places to values.

    `path` and `text` are where our validator finds a problem and part of what it says; no path: it finds none.
    `knative` is what Knative's own validation does with it.
    """

    name: str
    changes: dict[str, Any]
    path: str | None = None
    text: str = ""
    knative: Literal["refuses", "warns", "takes"] = "refuses"
    features: frozenset[str] = frozenset()

    @property
    def manifest(self) -> dict[str, Any]:
        manifest = copy.deepcopy(VALID)
        for place, value in self.changes.items():
            put(manifest, place, value if value is REMOVED else copy.deepcopy(value))
        return manifest


def put(manifest: dict[str, Any], place: str, value: Any) -> None:
    """Set what is at `place`, such as `a.b[0].c`; the part after `annotations.` or `labels.` is one key."""
    node: Any = manifest
    keys = parts(place)
    for key in keys[:-1]:
        node = node.setdefault(key, {}) if isinstance(node, dict) else node[key]
    last = keys[-1]
    if value is REMOVED:
        del node[last]
    elif isinstance(node, list) and last == len(node):
        node.append(value)
    else:
        node[last] = value


def parts(place: str) -> list[str | int]:
    for map_name in ("annotations.", "labels.", "requests.", "limits."):
        if map_name in place:
            before, key = place.split(map_name, 1)
            return [*parts(before + map_name.rstrip(".")), key]
    keys: list[str | int] = []
    for part in place.split("."):
        name, *indices = part.replace("]", "").split("[")
        keys += [name, *map(int, indices)]
    return keys


def scaling(name: str, value: Any) -> dict[str, Any]:
    return {f"spec.template.metadata.annotations.autoscaling.knative.dev/{name}": value}


def container(field: str, value: Any) -> dict[str, Any]:
    return {f"{CONTAINER}.{field}": value}


def pod(field: str, value: Any) -> dict[str, Any]:
    return {f"{POD}.{field}": value}


ANNOTATIONS = "spec.template.metadata.annotations"
SIDECAR = {
    "name": "sidecar",
    "image": DIGEST,
    "securityContext": VALID["spec"]["template"]["spec"]["containers"][0]["securityContext"],
}
CLAIM = {"name": "tmp", "persistentVolumeClaim": {"claimName": "models"}}
READ_ONLY_CLAIM = {"name": "tmp", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}

CASES = [
    Case("nothing wrong", {}, knative="takes"),
    # the object
    Case("another API", {"apiVersion": "v1"}, "apiVersion", "expected serving.knative.dev/v1", "takes"),
    Case("another kind", {"kind": "Deployment"}, "kind", "expected Service, got 'Deployment'", "takes"),
    Case("no name", {"metadata.name": REMOVED}, "metadata.name", "is missing"),
    Case("capitals in the name", {"metadata.name": "Tumour"}, "metadata.name", "no DNS-1035 label"),
    Case("a digit first", {"metadata.name": "1tumour"}, "metadata.name", "no DNS-1035 label"),
    Case("a name of 64", {"metadata.name": "a" * 64}, "metadata.name", "no DNS-1035 label"),
    Case("a name of 51", {"metadata.name": "a" * 51}, "metadata.name", "has 51 characters", "takes"),
    Case("a name of 50", {"metadata.name": "a" * 50}, knative="takes"),
    Case(
        "a label that is none", {"metadata.labels.model": "a b"}, "metadata.labels.model", "no label's value", "takes"
    ),
    Case("an unknown field", {"spec.templates": {}}, "spec.templates", "did you mean 'template'?"),
    Case(
        "a misspelt field",
        container("readynessProbe", {}),
        f"{CONTAINER}.readynessProbe",
        "did you mean 'readinessProbe'?",
    ),
    # annotations of the service
    Case(
        "autoscaling on the service",
        {"metadata.annotations.autoscaling.knative.dev/min-scale": "1"},
        "metadata.annotations.autoscaling.knative.dev/min-scale",
        "move it to spec.template.metadata.annotations",
    ),
    Case("rollout", {"metadata.annotations.serving.knative.dev/rollout-duration": "380s"}, knative="takes"),
    *[
        Case(
            f"rollout {value}",
            {"metadata.annotations.serving.knative.dev/rollout-duration": value},
            "metadata.annotations.serving.knative.dev/rollout-duration",
            text,
        )
        for value, text in [("380", "with its unit"), ("1.5s", "whole seconds"), ("-5s", "must not be negative")]
    ],
    # the revision's template
    Case("an own revision name", {"spec.template.metadata.name": "tumour-3"}, knative="takes"),
    Case(
        "a foreign revision name",
        {"spec.template.metadata.name": "iris-3"},
        "spec.template.metadata.name",
        "does not begin with tumour-",
    ),
    Case(
        "capitals in it",
        {"spec.template.metadata.name": "tumour-V3"},
        "spec.template.metadata.name",
        "no DNS-1035 label",
    ),
    Case("a number as annotation", scaling("min-scale", 1), f"{SCALING}/min-scale", "put it in quotes"),
    Case(
        "a misspelt annotation", scaling("minscale", "1"), f"{SCALING}/minscale", "did you mean 'min-scale'?", "takes"
    ),
    Case("an old spelling", scaling("minScale", "1"), knative="takes"),
    Case(
        "a wrong value in an old spelling",
        scaling("targetBurstCapacity", "x"),
        f"{SCALING}/targetBurstCapacity",
        "from 0",
    ),
    *[
        Case(f"{name} {value}", scaling(name, value), f"{SCALING}/{name}", text, knative)  # type: ignore[arg-type]
        for name, value, text, knative in [
            ("min-scale", "-1", "whole number from 0", "refuses"),
            ("min-scale", "some", "whole number from 0", "refuses"),
            ("max-scale", "1.5", "whole number from 0", "refuses"),
            ("initial-scale", "0", "allow-zero-initial-scale", "refuses"),
            ("initial-scale", "-2", "whole number from 0", "refuses"),
            ("activation-scale", "1", "whole number from 2", "refuses"),
            ("window", "60", "with its unit", "refuses"),
            ("window", "5s", "6 s to 3600 s", "refuses"),
            ("window", "61m", "6 s to 3600 s", "refuses"),
            ("window", "6500ms", "whole seconds", "refuses"),
            ("scale-down-delay", "2h", "0 s to 3600 s", "refuses"),
            ("scale-to-zero-pod-retention-period", "x", "with its unit", "refuses"),
            ("panic-window-percentage", "0.5", "1 to 100", "refuses"),
            ("panic-threshold-percentage", "100", "110 to 1000", "refuses"),
            ("target", "0", "from 0.01", "refuses"),
            ("target", "many", "from 0.01", "refuses"),
            ("target-utilization-percentage", "101", "1 to 100", "refuses"),
            ("target-burst-capacity", "-2", "from 0 or -1", "refuses"),
            ("metric", "cpu", "has no metric 'cpu'", "refuses"),
            ("class", "vpa.autoscaling.knative.dev", "expected kpa", "refuses"),
            # only checked by Knative where a class is written
            ("metric-aggregation-algorithm", "mean", "expected one of linear", "takes"),
        ]
    ],
    *[
        Case(f"{name} {value}", scaling(name, value), knative="takes")
        for name, value in [
            ("activation-scale", "2"),
            ("class", "hpa.autoscaling.knative.dev"),
            ("class", "my.example.com"),
            ("initial-scale", "3"),
            ("max-scale", "0"),
            ("metric", "rps"),
            ("metric-aggregation-algorithm", "weighted-exponential"),
            ("panic-threshold-percentage", "200.5"),
            ("panic-window-percentage", "10"),
            ("scale-down-delay", "15m"),
            ("scale-to-zero-pod-retention-period", "1m30s"),
            ("target", "0.5"),
            ("target-burst-capacity", "-1"),
            ("target-burst-capacity", "211"),
            ("target-utilization-percentage", "70"),
            ("window", "6s"),
            ("window", "1h"),
        ]
    ],
    Case("more at least than at most", scaling("min-scale", "5"), f"{SCALING}/max-scale", "4 is less than min-scale 5"),
    Case(
        "woken to more than at most",
        scaling("activation-scale", "5"),
        f"{SCALING}/max-scale",
        "less than activation-scale 5",
    ),
    Case(
        "woken to less than at least",
        scaling("min-scale", "3") | scaling("activation-scale", "2"),
        f"{SCALING}/activation-scale",
        "2 is less than min-scale 3",
    ),
    Case(
        "no metric for HPA",
        scaling("class", "hpa.autoscaling.knative.dev") | scaling("metric", ""),
        f"{SCALING}/metric",
        "has no metric ''",
    ),
    Case(
        "an unknown networking annotation",
        {f"{ANNOTATIONS}.networking.knative.dev/http-option": "x"},
        f"{ANNOTATIONS}.networking.knative.dev/http-option",
        "did you mean 'networking.knative.dev/httpOption'?",
    ),
    Case(
        "a queue-proxy without its unit",
        {f"{ANNOTATIONS}.queue.sidecar.serving.knative.dev/cpu-resource-request": "lots"},
        f"{ANNOTATIONS}.queue.sidecar.serving.knative.dev/cpu-resource-request",
        "expected a quantity",
    ),
    Case(
        "a progress deadline without its unit",
        {f"{ANNOTATIONS}.serving.knative.dev/progress-deadline": "60"},
        f"{ANNOTATIONS}.serving.knative.dev/progress-deadline",
        "with its unit",
    ),
    # numbers
    Case("containerConcurrency 1001", pod("containerConcurrency", 1001), f"{POD}.containerConcurrency", "0 to 1000"),
    Case("containerConcurrency -1", pod("containerConcurrency", -1), f"{POD}.containerConcurrency", "0 to 1000"),
    Case(
        "containerConcurrency as text", pod("containerConcurrency", "8"), f"{POD}.containerConcurrency", "whole number"
    ),
    Case("timeout 601", pod("timeoutSeconds", 601), f"{POD}.timeoutSeconds", "0 to 600"),
    Case("timeout 30", pod("timeoutSeconds", 30), f"{POD}.timeoutSeconds", "grace period", "takes"),
    Case("timeout 45", pod("timeoutSeconds", 45), knative="takes"),
    Case(
        "a later start than end",
        pod("responseStartTimeoutSeconds", 61),
        f"{POD}.responseStartTimeoutSeconds",
        "got 61",
        "takes",
    ),
    Case("a longer silence than all", pod("idleTimeoutSeconds", 61), f"{POD}.idleTimeoutSeconds", "got 61", "takes"),
    Case("timeout true", pod("timeoutSeconds", True), f"{POD}.timeoutSeconds", "expected a whole number, got True"),
    # containers
    Case("a container not in a list", pod("containers", {"image": DIGEST}), f"{POD}.containers", "expected a list"),
    Case("an empty entry", pod("containers", [None]), f"{POD}.containers[0]", "the entry is empty"),
    Case("labels in a text", {"metadata.labels": "a=b"}, "metadata.labels", "expected a map of strings"),
    Case("a core as a number", container("resources.limits.cpu", 1), knative="takes"),
    Case("no containers", pod("containers", []), f"{POD}.containers", "there is none"),
    Case("the queue-proxy's name", container("name", "queue-proxy"), f"{CONTAINER}.name", "Knative's own"),
    Case("two ports", container("ports[1]", {"containerPort": 8081}), f"{POD}.containers[*].ports", "2 ports are set"),
    Case(
        "two of a name",
        container("name", "sidecar") | pod("containers[1]", SIDECAR),
        f"{POD}.containers[1].name",
        "another container is called 'sidecar'",
    ),
    Case("a sidecar", container("name", "server") | pod("containers[1]", SIDECAR), knative="takes"),
    Case(
        "a sidecar that is probed",
        container("name", "server") | pod("containers[1]", SIDECAR | {"readinessProbe": {"tcpSocket": {"port": 9000}}}),
        f"{POD}.containers[1].readinessProbe",
        "multi-container-probing",
    ),
    Case(
        "nobody has a port",
        container("ports", REMOVED) | container("name", "server") | pod("containers[1]", SIDECAR),
        f"{POD}.containers[*].ports",
        "no container has a port",
    ),
    Case("no image", container("image", REMOVED), f"{CONTAINER}.image", "is missing"),
    Case(
        "capitals in the repository",
        container("image", "example.com/Tumour:1"),
        f"{CONTAINER}.image",
        "no image reference",
    ),
    Case(
        "an unfinished digest",
        container("image", "example.com/tumour@sha256:00"),
        f"{CONTAINER}.image",
        "no image reference",
    ),
    Case("an image of one letter", container("image", "x"), f"{CONTAINER}.image", "no image reference"),
    *[
        Case(f"image {image}", container("image", image), knative="takes")
        for image in ("registry.local:5000/iris:1", "localhost/iris:1", "ab:1", "a.b/c/d_e-f:V1", DIGEST)
    ],
    *[
        Case(
            f"image {image}",
            container("image", image),
            f"{CONTAINER}.image",
            "pulled again at each cold start",
            "takes",
        )
        for image in ("tumour", "tumour:latest", "localhost:5000/tumour")
    ],
    *[
        Case(
            f"port {port}",
            container("ports[0].containerPort", port),
            f"{CONTAINER}.ports[0].containerPort",
            "is the queue-proxy's",
            "takes" if port == 8112 else "refuses",
        )
        for port in (8008, 8012, 8013, 8022, 8112, 9090, 9091)
    ],
    Case("port 65536", container("ports[0].containerPort", 65536), f"{CONTAINER}.ports[0].containerPort", "0 to 65535"),
    Case("port name", container("ports[0].name", "http"), f"{CONTAINER}.ports[0].name", "none, http1 or h2c"),
    Case("port name h2c", container("ports[0].name", "h2c"), knative="takes"),
    Case("UDP", container("ports[0].protocol", "UDP"), f"{CONTAINER}.ports[0].protocol", "expected TCP"),
    Case("host port", container("ports[0].hostPort", 80), f"{CONTAINER}.ports[0].hostPort", "Knative refuses"),
    *[
        Case(
            f"variable {name}",
            container("env", [{"name": name, "value": "x"}]),
            f"{CONTAINER}.env[0].name",
            f"sets {name}",
        )
        for name in ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")
    ],
    Case("nameless variable", container("env", [{"value": "x"}]), f"{CONTAINER}.env[0].name", "is missing"),
    Case("own variable", container("env", [{"name": "SNOOZE_LOG", "value": "info"}]), knative="takes"),
    Case(
        "a number as value",
        container("env", [{"name": "N", "value": 1}]),
        f"{CONTAINER}.env[0].value",
        "put it in quotes",
    ),
    Case(
        "the pod's own fields",
        container("env", [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]),
        f"{CONTAINER}.env[0].valueFrom.fieldRef",
        "kubernetes.podspec-fieldref",
    ),
    Case("variables from nowhere", container("envFrom", [{"prefix": "A"}]), f"{CONTAINER}.envFrom[0]", "exactly one"),
    Case(
        "more CPU wanted than allowed",
        container("resources.requests.cpu", "2"),
        f"{CONTAINER}.resources.requests.cpu",
        "2 is more than the limit 1",
        "takes",
    ),
    Case(
        "more memory wanted than allowed",
        container("resources.requests.memory", "1Gi"),
        f"{CONTAINER}.resources.requests.memory",
        "1Gi is more than the limit 80Mi",
        "takes",
    ),
    Case(
        "half a core",
        container("resources.limits.cpu", "500m"),
        f"{CONTAINER}.resources.limits.cpu",
        "takes longer",
        "takes",
    ),
    Case("no quantity", container("resources.limits.cpu", "one"), f"{CONTAINER}.resources.limits.cpu", "a quantity"),
    Case(
        "resource claims",
        container("resources.claims", [{"name": "gpu"}]),
        f"{CONTAINER}.resources.claims",
        "Knative refuses",
    ),
    # probes
    Case("no handler", container("readinessProbe", {}), f"{CONTAINER}.readinessProbe", "says not what to ask", "takes"),
    Case(
        "two handlers",
        container("readinessProbe.tcpSocket", {"port": 8080}),
        f"{CONTAINER}.readinessProbe",
        "found httpGet and tcpSocket",
    ),
    Case(
        "a failure threshold without a period",
        container("readinessProbe.failureThreshold", 3),
        f"{CONTAINER}.readinessProbe.failureThreshold",
        "periodSeconds is absent",
    ),
    Case(
        "a timeout without a period",
        container("readinessProbe.timeoutSeconds", 1),
        f"{CONTAINER}.readinessProbe.timeoutSeconds",
        "periodSeconds is absent",
    ),
    Case(
        "a period",
        container("readinessProbe.periodSeconds", 1),
        f"{CONTAINER}.readinessProbe.periodSeconds",
        "every 50 ms",
        "takes",
    ),
    Case(
        "a negative period",
        container("readinessProbe.periodSeconds", -1),
        f"{CONTAINER}.readinessProbe.periodSeconds",
        "0 or more",
    ),
    Case(
        "a negative delay",
        container("readinessProbe.initialDelaySeconds", -1),
        f"{CONTAINER}.readinessProbe.initialDelaySeconds",
        "expected 0 or more",
    ),
    Case(
        "a negative success threshold",
        container("readinessProbe.successThreshold", -1),
        f"{CONTAINER}.readinessProbe.successThreshold",
        "expected 1 or more",
    ),
    Case(
        "a period with a negative timeout",
        container("readinessProbe.periodSeconds", 1) | container("readinessProbe.timeoutSeconds", -1),
        f"{CONTAINER}.readinessProbe.timeoutSeconds",
        "expected 1 or more, got -1",
    ),
    Case(
        "another port's name",
        container("readinessProbe.httpGet.port", "metrics"),
        f"{CONTAINER}.readinessProbe.httpGet.port",
        "'metrics' is not the name",
    ),
    Case("the port's number", container("readinessProbe.httpGet.port", 8080), knative="takes"),
    Case(
        "a startup probe",
        container("startupProbe", {"httpGet": {"path": "/readyz"}}),
        f"{CONTAINER}.startupProbe",
        "activator's shortcut",
        "takes",
    ),
    Case(
        "a command as probe",
        container("readinessProbe", {"exec": {"command": ["true"]}}),
        f"{CONTAINER}.readinessProbe.exec",
        "only the kubelet",
        "takes",
    ),
    Case("a liveness probe", container("livenessProbe", {"httpGet": {"path": "/healthz"}}), knative="takes"),
    Case(
        "a liveness probe without handler",
        container("livenessProbe", {"periodSeconds": 5}),
        f"{CONTAINER}.livenessProbe",
        "found none",
    ),
    # security
    Case(
        "privileged",
        container("securityContext.privileged", True),
        f"{CONTAINER}.securityContext.privileged",
        "no privileged",
    ),
    Case("not privileged", container("securityContext.privileged", False), knative="takes"),
    Case(
        "user -1",
        container("securityContext.runAsUser", -1),
        f"{CONTAINER}.securityContext.runAsUser",
        "0 to 2147483647",
    ),
    Case(
        "group 2^31",
        container("securityContext.runAsGroup", 2**31),
        f"{CONTAINER}.securityContext.runAsGroup",
        "0 to 2147483647",
    ),
    Case(
        "added capabilities",
        container("securityContext.capabilities.add", ["NET_ADMIN"]),
        f"{CONTAINER}.securityContext.capabilities.add",
        "kubernetes.containerspec-addcapabilities",
    ),
    Case(
        "capabilities in lower case",
        container("securityContext.capabilities.drop", ["all"]),
        f"{CONTAINER}.securityContext.capabilities.drop",
        "write ALL",
        "warns",
    ),
    *[
        Case(
            f"{name} not said",
            container(f"securityContext.{name}", REMOVED),
            f"{CONTAINER}.securityContext.{path}",
            "default is insecure",
            "warns",
        )
        for name, path in [
            ("runAsNonRoot", "runAsNonRoot"),
            ("allowPrivilegeEscalation", "allowPrivilegeEscalation"),
            ("seccompProfile", "seccompProfile"),
            ("capabilities", "capabilities.drop"),
        ]
    ],
    Case(
        "a pod's security context",
        pod("securityContext", {"runAsNonRoot": True}),
        f"{POD}.securityContext",
        "kubernetes.podspec-securitycontext",
    ),
    # volumes
    Case(
        "a volume nobody mounts",
        pod("volumes[1]", {"name": "m", "emptyDir": {}}),
        f"{POD}.volumes[1].name",
        "no container mounts 'm'",
    ),
    Case(
        "two volumes of a name",
        pod("volumes[1]", {"name": "tmp", "emptyDir": {}}),
        f"{POD}.volumes[1].name",
        "another volume",
    ),
    Case("capitals in a volume", pod("volumes[0].name", "TMP"), f"{POD}.volumes[0].name", "no legal name"),
    Case("a volume from nowhere", pod("volumes[0]", {"name": "tmp"}), f"{POD}.volumes[0]", "found none"),
    Case(
        "a volume from two places",
        pod("volumes[0].secret", {"secretName": "s"}),
        f"{POD}.volumes[0]",
        "found secret and emptyDir",
    ),
    Case(
        "a strange medium",
        pod("volumes[0].emptyDir", {"medium": "Disk"}),
        f"{POD}.volumes[0].emptyDir.medium",
        "'Disk'",
    ),
    Case("a medium of memory", pod("volumes[0].emptyDir", {"medium": "Memory", "sizeLimit": "64Mi"}), knative="takes"),
    Case(
        "a negative size",
        pod("volumes[0].emptyDir", {"sizeLimit": "-1Mi"}),
        f"{POD}.volumes[0].emptyDir.sizeLimit",
        "is negative",
    ),
    Case(
        "settings mounted to write",
        pod("volumes[0]", {"name": "tmp", "configMap": {"name": "c"}}) | container("volumeMounts[0].readOnly", False),
        f"{CONTAINER}.volumeMounts[0].readOnly",
        "mounts this kind of volume read-only",
        "takes",
    ),
    Case(
        "a host path",
        pod("volumes[0]", {"name": "tmp", "hostPath": {"path": "/"}}),
        f"{POD}.volumes[0].hostPath",
        "volumes-hostpath",
    ),
    Case(
        "an image as volume",
        pod("volumes[0]", {"name": "tmp", "image": {"reference": DIGEST}}),
        f"{POD}.volumes[0].image",
        "volumes-image",
    ),
    Case(
        "a claim",
        pod("volumes[0]", READ_ONLY_CLAIM),
        f"{POD}.volumes[0].persistentVolumeClaim",
        "persistent-volume-claim",
    ),
    Case(
        "a claim to write",
        pod("volumes[0]", CLAIM),
        f"{POD}.volumes[0].persistentVolumeClaim.readOnly",
        "persistent-volume-write",
    ),
    Case(
        "a claim mounted to write",
        pod("volumes[0]", READ_ONLY_CLAIM),
        f"{CONTAINER}.volumeMounts[0].readOnly",
        "the mount is not",
    ),
    Case(
        "a mount without volume",
        container("volumeMounts[0].name", "m"),
        f"{CONTAINER}.volumeMounts[0].name",
        "no volume 'm'",
    ),
    Case(
        "a mount at /dev/",
        container("volumeMounts[0].mountPath", "/dev/"),
        f"{CONTAINER}.volumeMounts[0].mountPath",
        "reserved",
    ),
    Case(
        "a relative mount",
        container("volumeMounts[0].mountPath", "tmp"),
        f"{CONTAINER}.volumeMounts[0].mountPath",
        "not absolute",
    ),
    Case(
        "two mounts in a place",
        container("volumeMounts[1]", {"name": "tmp", "mountPath": "/tmp/"}),
        f"{CONTAINER}.volumeMounts[1].mountPath",
        "taken by another mount",
    ),
    Case(
        "a mount that propagates",
        container("volumeMounts[0].mountPropagation", "None"),
        f"{CONTAINER}.volumeMounts[0].mountPropagation",
        "volumes-mount-propagation",
    ),
    # the pod
    Case(
        "a token", pod("automountServiceAccountToken", True), f"{POD}.automountServiceAccountToken", "only takes false"
    ),
    Case("a strange account", pod("serviceAccountName", "Me"), f"{POD}.serviceAccountName", "no legal name"),
    *[
        Case(field, pod(field, value), f"{POD}.{field}", "Knative refuses")
        for field, value in [
            ("restartPolicy", "Never"),
            ("terminationGracePeriodSeconds", 60),
            ("activeDeadlineSeconds", 60),
            ("nodeName", "n"),
            ("hostname", "h"),
            ("subdomain", "s"),
            ("readinessGates", [{"conditionType": "c"}]),
        ]
    ],
    *[
        Case(field, container(field, value), f"{CONTAINER}.{field}", "Knative refuses")
        for field, value in [
            ("lifecycle", {"preStop": {"exec": {"command": ["true"]}}}),
            ("stdin", True),
            ("tty", True),
        ]
    ],
    *[
        Case(field, pod(field, value), f"{POD}.{field}", f"kubernetes.podspec-{field.lower()}")
        for field, value in [
            ("affinity", {"nodeAffinity": {}}),
            ("topologySpreadConstraints", [{"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule"}]),
            ("hostAliases", [{"ip": "1.2.3.4"}]),
            ("nodeSelector", {"a": "b"}),
            ("tolerations", [{"key": "k"}]),
            ("runtimeClassName", "gvisor"),
            ("shareProcessNamespace", True),
            ("priorityClassName", "high"),
            ("schedulerName", "mine"),
            ("dnsPolicy", "Default"),
            ("dnsConfig", {"nameservers": ["1.1.1.1"]}),
            ("hostIPC", True),
            ("hostPID", True),
            ("hostNetwork", True),
        ]
    ],
    Case(
        "init containers",
        pod("initContainers", [{"name": "i", "image": DIGEST}]),
        f"{POD}.initContainers",
        "kubernetes.podspec-init-containers",
    ),
    # traffic
    Case("all to whatever is latest", {"spec.traffic": [{"percent": 100}]}, knative="takes"),
    Case("all to the latest", {"spec.traffic": [{"latestRevision": True, "percent": 100}]}, knative="takes"),
    Case(
        "a canary",
        {
            "spec.traffic": [
                {"revisionName": "tumour-2", "percent": 90},
                {"latestRevision": True, "percent": 10, "tag": "new"},
            ]
        },
        knative="takes",
    ),
    Case("90 in 100", {"spec.traffic": [{"latestRevision": True, "percent": 90}]}, "spec.traffic", "add up to 90"),
    Case(
        "minus 10",
        {"spec.traffic": [{"latestRevision": True, "percent": 110}, {"revisionName": "tumour-2", "percent": -10}]},
        "spec.traffic[1].percent",
        "0 to 100",
    ),
    Case(
        "a tag twice",
        {
            "spec.traffic": [
                {"revisionName": "tumour-2", "percent": 90, "tag": "a"},
                {"latestRevision": True, "percent": 10, "tag": "a"},
            ]
        },
        "spec.traffic[1].tag",
        "used twice",
    ),
    Case(
        "a tag in capitals",
        {"spec.traffic": [{"latestRevision": True, "percent": 100, "tag": "New"}]},
        "spec.traffic[0].tag",
        "no DNS-1035 label",
    ),
    Case(
        "a tag that makes the host too long",
        {"spec.traffic": [{"latestRevision": True, "percent": 100, "tag": "t" * 57}]},
        "spec.traffic[0].tag",
        "longer than the 63",
        "takes",
    ),
    Case(
        "latest and named",
        {"spec.traffic": [{"latestRevision": True, "revisionName": "tumour-2", "percent": 100}]},
        "spec.traffic[0]",
        "names a revision and the latest one",
    ),
    Case(
        "neither", {"spec.traffic": [{"latestRevision": False, "percent": 100}]}, "spec.traffic[0]", "names no revision"
    ),
    Case(
        "another's revision",
        {"spec.traffic": [{"revisionName": "iris-2", "percent": 100}]},
        "spec.traffic[0].revisionName",
        "not a revision of 'tumour'",
        "takes",
    ),
    Case(
        "a configuration",
        {"spec.traffic": [{"configurationName": "tumour", "latestRevision": True, "percent": 100}]},
        "spec.traffic[0].configurationName",
        "Knative refuses",
    ),
]
