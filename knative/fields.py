"""
The fields of a Knative Service: their types, which of them Knative refuses, and which need a feature of the cluster.

After knative/serving v0.50.0 (release 1.23): pkg/apis/serving/fieldmask.go, pkg/apis/config/features.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["string", "integer", "boolean", "quantity", "port", "strings", "quantities", "anything"]


@dataclass(frozen=True, slots=True)
class Field:
    """
    What a field may hold.

    `kind` is a scalar's name, a map's ("strings", "quantities"), or the fields of an object; `many` makes a list of
    it. `feature` is the cluster's feature that must be on. `refused` is the reason why Knative never takes it.
    """

    kind: "Kind | Mapping[str, Field]"
    many: bool = False
    feature: str | None = None
    refused: str | None = None


def _object(**fields: Field) -> dict[str, Field]:
    return fields


def _only(kind: Kind, *names: str) -> dict[str, Field]:
    return {name: Field(kind) for name in names}


def _podspec(feature: str) -> Field:
    return Field("anything", feature=f"kubernetes.podspec-{feature}")


_KNATIVE_OWNS_IT = "Knative sets it itself"

# Default values of config-features; every feature not named here is off.
DEFAULT_FEATURES: Final = frozenset({"multi-container", "kubernetes.podspec-volumes-emptydir"})

_METADATA: Final = _object(
    labels=Field("strings"),
    annotations=Field("strings"),
    **_only("string", "name", "generateName", "namespace", "creationTimestamp", "uid", "resourceVersion"),
    **_only("anything", "finalizers", "generation", "managedFields", "ownerReferences"),
)
_PORT: Final = _object(
    **_only("string", "name", "protocol"),
    containerPort=Field("integer"),
    hostPort=Field("integer", refused="pods share the node's ports with others"),
    hostIP=Field("string", refused="pods share the node's addresses with others"),
)
_KEY: Final = _object(**_only("string", "name", "key"), optional=Field("boolean"))
_ENV: Final = _object(
    **_only("string", "name", "value"),
    valueFrom=Field(
        _object(
            configMapKeyRef=Field(_KEY),
            secretKeyRef=Field(_KEY),
            fieldRef=_podspec("fieldref"),
            resourceFieldRef=_podspec("fieldref"),
        )
    ),
)
_SOURCE: Final = _object(name=Field("string"), optional=Field("boolean"))
_ENV_FROM: Final = _object(prefix=Field("string"), configMapRef=Field(_SOURCE), secretRef=Field(_SOURCE))
_PROBE: Final = _object(
    httpGet=Field(
        _object(**_only("string", "host", "path", "scheme"), port=Field("port"), httpHeaders=Field("anything"))
    ),
    tcpSocket=Field(_object(host=Field("string"), port=Field("port"))),
    exec=Field(_object(command=Field("string", many=True))),
    grpc=Field(_object(port=Field("integer"), service=Field("string"))),
    **_only("integer", "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold"),
    **_only("integer", "failureThreshold", "terminationGracePeriodSeconds"),
)
_SECURITY_CONTEXT: Final = _object(
    **_only("boolean", "allowPrivilegeEscalation", "privileged", "readOnlyRootFilesystem", "runAsNonRoot"),
    **_only("integer", "runAsUser", "runAsGroup"),
    capabilities=Field(
        _object(
            drop=Field("string", many=True),
            add=Field("string", many=True, feature="kubernetes.containerspec-addcapabilities"),
        )
    ),
    seccompProfile=Field(_object(**_only("string", "type", "localhostProfile"))),
    seLinuxOptions=Field("anything", refused="the cluster labels processes"),
    procMount=Field("string", refused="/proc is the container runtime's"),
    windowsOptions=Field("anything", refused="Knative runs on Linux"),
)
_MOUNT: Final = _object(
    **_only("string", "name", "mountPath", "subPath"),
    readOnly=Field("boolean"),
    mountPropagation=Field("string", feature="kubernetes.podspec-volumes-mount-propagation"),
    recursiveReadOnly=Field("string", refused="Knative does not pass it on"),
    subPathExpr=Field("string", refused="Knative does not pass it on"),
)
_CONTAINER: Final = _object(
    **_only("string", "name", "image", "imagePullPolicy", "workingDir"),
    **_only("string", "terminationMessagePath", "terminationMessagePolicy"),
    args=Field("string", many=True),
    command=Field("string", many=True),
    env=Field(_ENV, many=True),
    envFrom=Field(_ENV_FROM, many=True),
    ports=Field(_PORT, many=True),
    livenessProbe=Field(_PROBE),
    readinessProbe=Field(_PROBE),
    startupProbe=Field(_PROBE),
    resources=Field(
        _object(
            requests=Field("quantities"),
            limits=Field("quantities"),
            claims=Field("anything", refused="only requests and limits are passed on"),
        )
    ),
    securityContext=Field(_SECURITY_CONTEXT),
    volumeMounts=Field(_MOUNT, many=True),
    lifecycle=Field("anything", refused="the queue-proxy's drain uses the preStop hook"),
    stdin=Field("boolean", refused="standard input is always empty"),
    stdinOnce=Field("boolean", refused="standard input is always empty"),
    tty=Field("boolean", refused="there is no terminal"),
    volumeDevices=Field("anything", refused="block devices are not passed on"),
)
_PATHS: Final = _object(**_only("string", "key", "path"), mode=Field("integer"))
_VOLUME: Final = _object(
    name=Field("string"),
    secret=Field(
        _object(
            secretName=Field("string"),
            items=Field(_PATHS, many=True),
            defaultMode=Field("integer"),
            optional=Field("boolean"),
        )
    ),
    configMap=Field(
        _object(
            name=Field("string"),
            items=Field(_PATHS, many=True),
            defaultMode=Field("integer"),
            optional=Field("boolean"),
        )
    ),
    projected=Field("anything"),
    emptyDir=Field(
        _object(medium=Field("string"), sizeLimit=Field("quantity")), feature="kubernetes.podspec-volumes-emptydir"
    ),
    persistentVolumeClaim=Field(
        _object(claimName=Field("string"), readOnly=Field("boolean")),
        feature="kubernetes.podspec-persistent-volume-claim",
    ),
    hostPath=_podspec("volumes-hostpath"),
    csi=_podspec("volumes-csi"),
    ephemeral=_podspec("volumes-ephemeral"),
    image=Field(_object(**_only("string", "reference", "pullPolicy")), feature="kubernetes.podspec-volumes-image"),
)
_POD: Final = _object(
    **_only("integer", "containerConcurrency", "timeoutSeconds", "responseStartTimeoutSeconds", "idleTimeoutSeconds"),
    serviceAccountName=Field("string"),
    enableServiceLinks=Field("boolean"),
    automountServiceAccountToken=Field("boolean"),
    imagePullSecrets=Field(_object(name=Field("string")), many=True),
    containers=Field(_CONTAINER, many=True),
    volumes=Field(_VOLUME, many=True),
    initContainers=_podspec("init-containers"),
    affinity=_podspec("affinity"),
    topologySpreadConstraints=_podspec("topologyspreadconstraints"),
    hostAliases=_podspec("hostaliases"),
    nodeSelector=_podspec("nodeselector"),
    tolerations=_podspec("tolerations"),
    runtimeClassName=_podspec("runtimeclassname"),
    securityContext=_podspec("securitycontext"),
    shareProcessNamespace=_podspec("shareprocessnamespace"),
    priorityClassName=_podspec("priorityclassname"),
    schedulerName=_podspec("schedulername"),
    dnsPolicy=_podspec("dnspolicy"),
    dnsConfig=_podspec("dnsconfig"),
    hostIPC=_podspec("hostipc"),
    hostPID=_podspec("hostpid"),
    hostNetwork=_podspec("hostnetwork"),
    restartPolicy=Field("string", refused=_KNATIVE_OWNS_IT),
    terminationGracePeriodSeconds=Field("integer", refused="Knative takes timeoutSeconds for it"),
    activeDeadlineSeconds=Field("integer", refused=_KNATIVE_OWNS_IT),
    nodeName=Field("string", refused="the scheduler chooses the node"),
    hostname=Field("string", refused=_KNATIVE_OWNS_IT),
    subdomain=Field("string", refused=_KNATIVE_OWNS_IT),
    priority=Field("integer", refused=_KNATIVE_OWNS_IT),
    readinessGates=Field("anything", refused=_KNATIVE_OWNS_IT),
)
_TRAFFIC: Final = _object(
    **_only("string", "tag", "revisionName"),
    latestRevision=Field("boolean"),
    percent=Field("integer"),
    configurationName=Field("string", refused="a Service has only one configuration, its own"),
    url=Field("string", refused="Knative reports it in the status"),
)
SERVICE: Final = Field(
    _object(
        **_only("string", "apiVersion", "kind"),
        metadata=Field(_METADATA),
        spec=Field(
            _object(
                template=Field(_object(metadata=Field(_METADATA), spec=Field(_POD))),
                traffic=Field(_TRAFFIC, many=True),
            )
        ),
        status=Field("anything"),
    )
)

FEATURES: Final = DEFAULT_FEATURES | {
    "autodetect-http2",
    "kubernetes.containerspec-addcapabilities",
    "kubernetes.podspec-affinity",
    "kubernetes.podspec-dnsconfig",
    "kubernetes.podspec-dnspolicy",
    "kubernetes.podspec-fieldref",
    "kubernetes.podspec-hostaliases",
    "kubernetes.podspec-hostipc",
    "kubernetes.podspec-hostnetwork",
    "kubernetes.podspec-hostpid",
    "kubernetes.podspec-init-containers",
    "kubernetes.podspec-nodeselector",
    "kubernetes.podspec-persistent-volume-claim",
    "kubernetes.podspec-persistent-volume-write",
    "kubernetes.podspec-priorityclassname",
    "kubernetes.podspec-runtimeclassname",
    "kubernetes.podspec-schedulername",
    "kubernetes.podspec-securitycontext",
    "kubernetes.podspec-shareprocessnamespace",
    "kubernetes.podspec-tolerations",
    "kubernetes.podspec-topologyspreadconstraints",
    "kubernetes.podspec-volumes-csi",
    "kubernetes.podspec-volumes-ephemeral",
    "kubernetes.podspec-volumes-hostpath",
    "kubernetes.podspec-volumes-image",
    "kubernetes.podspec-volumes-mount-propagation",
    "multi-container-probing",
    "queueproxy.mount-podinfo",
    "queueproxy.resource-defaults",
    "secure-pod-defaults",
    "tag-header-based-routing",
}
