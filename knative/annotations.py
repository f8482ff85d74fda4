"""
Knative's annotations: names, values, and how two of them fit together.

The webhook checks autoscaling annotations by value but not by name: a misspelt one is silently without effect. So the
names are checked here. After knative/serving v0.50.0: pkg/apis/autoscaling/annotation_validation.go.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Final

from snooze.knative.names import LABEL_VALUE, QUALIFIED_NAME
from snooze.knative.problems import Problem, did_you_mean
from snooze.knative.quantities import parse_duration, parse_quantity

Check = Callable[[str], str | None]  # a value to what is wrong with it

AUTOSCALING: Final = "autoscaling.knative.dev/"
KPA: Final = "kpa.autoscaling.knative.dev"
HPA: Final = "hpa.autoscaling.knative.dev"
ZERO_INITIAL_SCALE: Final = "allow-zero-initial-scale"  # not a feature of config-features, but a switch all the same
INT32: Final = 2**31 - 1
WINDOW_SECONDS: Final = (6, 3600)


def _whole(value: str) -> int | None:
    return int(value) if re.fullmatch(r"[+-]?\d{1,19}", value) else None


def _count(value: str) -> str | None:
    number = _whole(value)
    return None if number is not None and 0 <= number <= INT32 else f"expected a whole number from 0, got {value!r}"


def _activation(value: str) -> str | None:
    number = _whole(value)
    return None if number is not None and 2 <= number <= INT32 else f"expected a whole number from 2, got {value!r}"


def _number(least: float, most: float | None = None, besides: float | None = None) -> Check:
    def check(value: str) -> str | None:
        expected = f"expected a number from {least:g}" + (f" to {most:g}" if most is not None else "")
        expected += f" or {besides:g}" if besides is not None else ""
        try:
            number = float(value)
        except ValueError:
            return f"{expected}, got {value!r}"
        fits = least <= number and (most is None or number <= most)
        return None if fits or number == besides else f"{expected}, got {value!r}"

    return check


def _duration(least: int, most: int | None, whole: bool = True) -> Check:
    def check(value: str) -> str | None:
        seconds = parse_duration(value)
        if seconds is None:
            return f"expected a duration with its unit, such as 90s, got {value!r}"
        if seconds < least or (most is not None and seconds > most):
            return f"expected {least} s to {most} s, got {value!r}" if most else f"must not be negative, got {value!r}"
        return f"expected whole seconds, got {value!r}" if whole and seconds % 1 else None

    return check


def _one_of(*values: str) -> Check:
    return lambda value: None if value in values else f"expected one of {', '.join(values)}, got {value!r}"


def _class(value: str) -> str | None:
    if value.endswith("autoscaling.knative.dev") and value not in (KPA, HPA):
        return f"expected {KPA}, {HPA} or a class of another project, got {value!r}"
    return None


def _quantity(value: str) -> str | None:
    return None if parse_quantity(value) is not None else f"expected a quantity such as 25m or 50Mi, got {value!r}"


def _anything(value: str) -> str | None:
    return None


SCALING: Final[Mapping[str, Check]] = {
    "activation-scale": _activation,
    "class": _class,
    "initial-scale": _count,
    "max-scale": _count,
    "metric": _anything,  # depends on the class: _metric below
    "metric-aggregation-algorithm": _one_of("linear", "weighted-exponential", "weightedExponential"),
    "min-scale": _count,
    "panic-threshold-percentage": _number(110, 1000),
    "panic-window-percentage": _number(1, 100),
    "scale-down-delay": _duration(0, 3600),
    "scale-to-zero-pod-retention-period": _duration(0, 3600, whole=False),
    "target": _number(0.01),
    "target-burst-capacity": _number(0, besides=-1),
    "target-utilization-percentage": _number(1, 100),
    "window": _duration(*WINDOW_SECONDS),
}
# Spellings of before 1.0 that are still read.
OLD_SPELLINGS: Final = {
    re.sub("-([a-z])", lambda match: match[1].upper(), name): name
    for name in SCALING
    if "-" in name and name != "activation-scale"
}
NETWORKING: Final = frozenset(
    f"networking.knative.dev/{name}"
    for name in (
        "certificate-class",
        "certificate.class",
        "disable-auto-tls",
        "disable-external-domain-tls",
        "disableAutoTLS",
        "http-protocol",
        "httpOption",
        "ingress-class",
        "ingress.class",
    )
)
OTHERS: Final[Mapping[str, Check]] = {
    "serving.knative.dev/progress-deadline": _duration(0, None),
    **{
        f"queue.sidecar.serving.knative.dev/{resource}-resource-{bound}": _quantity
        for resource in ("cpu", "memory", "ephemeral-storage")
        for bound in ("request", "limit")
    },
    "queue.sidecar.serving.knative.dev/resource-percentage": _number(0.1, 100),
}
ROLLOUT: Final = "serving.knative.dev/rollout-duration"


def check_service_annotations(annotations: Mapping[str, str], path: str) -> Iterator[Problem]:
    """Yield what is wrong with the annotations of the Service itself."""
    for name in annotations:
        if name.startswith("autoscaling.knative.dev"):
            yield Problem(
                f"{path}.{name}",
                "the Service itself takes no autoscaling annotation",
                "move it to spec.template.metadata.annotations",
            )
    if annotations.get(ROLLOUT):
        problem = _duration(0, None)(annotations[ROLLOUT])
        if problem:
            yield Problem(f"{path}.{ROLLOUT}", problem, "write seconds, such as 380s")


def check_template_annotations(annotations: Mapping[str, str], path: str, features: Set[str]) -> Iterator[Problem]:
    """Yield what is wrong with the annotations of the revision's template."""
    scaling: dict[str, str] = {}
    for name, value in annotations.items():
        if name.startswith(AUTOSCALING):
            short = name.removeprefix(AUTOSCALING)
            if short not in SCALING and short not in OLD_SPELLINGS:
                yield Problem(f"{path}.{name}", "there is no such annotation", did_you_mean(short, SCALING))
                continue
            short = OLD_SPELLINGS.get(short, short)
            scaling[short] = value
            check = SCALING[short]
        elif name.startswith("networking.knative.dev") and name not in NETWORKING:
            yield Problem(f"{path}.{name}", "Knative refuses this annotation", did_you_mean(name, NETWORKING))
            continue
        else:
            check = OTHERS.get(name, _anything)
        problem = check(value)
        if problem:
            yield Problem(f"{path}.{name}", problem, "correct the value")
    yield from _scales(scaling, path)
    yield from _initial_scale(scaling, path, features)
    yield from _metric(scaling, path)


def _scales(scaling: Mapping[str, str], path: str) -> Iterator[Problem]:
    scales = {name: _whole(scaling.get(name, "")) or 0 for name in ("min-scale", "max-scale", "activation-scale")}
    least, most, active = scales["min-scale"], scales["max-scale"], scales["activation-scale"]
    for name, scale in (("min-scale", least), ("activation-scale", active)):
        if most and scale > most:
            yield Problem(
                f"{path}.{AUTOSCALING}max-scale", f"{most} is less than {name} {scale}", f"raise it or lower {name}"
            )
    if active and least > active:
        yield Problem(
            f"{path}.{AUTOSCALING}activation-scale", f"{active} is less than min-scale {least}", "raise it or remove it"
        )


def _initial_scale(scaling: Mapping[str, str], path: str, features: Set[str]) -> Iterator[Problem]:
    if _whole(scaling.get("initial-scale", "")) == 0 and ZERO_INITIAL_SCALE not in features:
        yield Problem(
            f"{path}.{AUTOSCALING}initial-scale",
            "0 is refused unless the cluster sets allow-zero-initial-scale",
            f"raise it to 1, or set that in config-autoscaler and say --cluster-feature {ZERO_INITIAL_SCALE}",
        )


def _metric(scaling: Mapping[str, str], path: str) -> Iterator[Problem]:
    if "metric" not in scaling:
        return
    metric, scaler = scaling["metric"], scaling.get("class", KPA)
    if (scaler == KPA and metric not in ("concurrency", "rps")) or (scaler == HPA and not metric):
        known = "concurrency and rps" if scaler == KPA else "cpu, memory and custom ones"
        yield Problem(f"{path}.{AUTOSCALING}metric", f"{scaler} has no metric {metric!r}", f"it has {known}")


def check_labels(labels: Mapping[str, str], path: str) -> Iterator[Problem]:
    """Yield what is wrong with labels: Kubernetes, not Knative, refuses these."""
    for name, value in labels.items():
        if QUALIFIED_NAME.fullmatch(name) is None:
            yield Problem(f"{path}.{name}", "is no label's name", "write letters, digits, '-', '_', '.'")
        if LABEL_VALUE.fullmatch(value) is None:
            yield Problem(
                f"{path}.{name}",
                f"{value!r} is no label's value",
                "write at most 63 letters, digits, '-', '_', '.', or make it an annotation",
            )
