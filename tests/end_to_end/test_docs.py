"""The pages of docs/ agree with the code: settings, metrics, errors, options, thresholds, links and names."""

import argparse
import re
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from tests.end_to_end.pages import (
    CONVERT,
    FOLDERS,
    HTTP,
    IMAGE,
    KNATIVE,
    MARKDOWN,
    PAGES,
    ROLLOUTS,
    ROOT,
    SETTINGS,
    code,
    one_line,
    python_blocks,
    section,
    table,
)

from snooze.benchmarks import cli as benchmarks_cli
from snooze.bundle.limits import MEMORY_FACTOR
from snooze.cli import COMMANDS
from snooze.convert import errors as refusals
from snooze.convert import profile, variants
from snooze.convert.checks import dataset, golden, parity, synthetic
from snooze.convert.quantization import candidates
from snooze.knative.manifest import figures
from snooze.knative.rollout import readiness
from snooze.knative.sizing import size as sizing
from snooze.knative.sizing.calibration import Calibration, read_figures
from snooze.service import metrics, responses, settings
from snooze.service.cli import OPTIONS
from snooze.service.errors import InvalidSetting
from snooze.service.process.startup_timer import PHASES

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
# The page that documents the options of a command.
HOMES = {
    "convert": CONVERT,
    "try": CONVERT,
    "inspect": SETTINGS,
    "serve": SETTINGS,
    "predict": HTTP,
    "size": KNATIVE,
    "deploy": KNATIVE,
    "image": IMAGE,
    "ab": ROLLOUTS,
    "rollout": KNATIVE + ROLLOUTS,
    "rollback": ROLLOUTS,
    "versions": ROLLOUTS,
    **{f"bench {name}": SETTINGS for name in benchmarks_cli.COMMANDS},
}


def options_of() -> dict[str, dict[str, Any]]:
    """Return the options of each command with their defaults."""
    found = {}
    benchmarks = {f"bench {name}": ("snooze.benchmarks.cli", name, "") for name in benchmarks_cli.COMMANDS}
    for name, (module, function, _) in (COMMANDS | benchmarks).items():
        if name == "bench":
            continue
        parser = argparse.ArgumentParser(add_help=False)
        getattr(import_module(module), f"{function}_arguments")(parser)
        found[name] = {one.option_strings[0]: one.default for one in parser._actions if one.option_strings}
    return found


OPTIONS_OF = options_of()
SETTING_ROWS = {code(row[0])[0]: row for row in table(SETTINGS) if code(row[0]) and len(row) == 5}


@pytest.mark.parametrize(
    ("name", "variable"),
    [(name, about[0]) for name, about in zip(settings.Settings._fields, settings.documented(), strict=True)],
)
def test_every_setting_is_documented_with_option_default_and_limits(name: str, variable: str) -> None:
    default = settings.Settings._field_defaults[name]
    _, option, shown, limits, _ = SETTING_ROWS[variable]

    assert code(option) == [one for one, setting, _, _ in OPTIONS if setting == name]
    assert (
        settings.parse(name, code(shown)[0], variable) == default if code(shown) else (shown, default) == ("none", "")
    )
    for least, most in re.findall(r"^([\d,]+) to ([\d,]+)$", limits):
        low, high = (int(text.replace(",", "")) for text in (least, most))
        assert [settings.parse(name, str(value), variable) for value in (low, high)] == [low, high]
        with pytest.raises(InvalidSetting):
            settings.parse(name, str(high + 1), variable)
    for choice in code(limits):
        if choice.isalpha():
            assert settings.parse(name, choice, variable) == choice


def test_every_documented_setting_exists() -> None:
    assert set(SETTING_ROWS) == {variable for variable, _, _ in settings.documented()}


def test_the_fixed_environment_is_documented() -> None:
    from snooze.service.process.start import ENVIRONMENT

    rows = table(section(SETTINGS, "## The fixed environment"))
    assert {code(row[0])[0]: code(row[1])[0] for row in rows} == ENVIRONMENT


@pytest.mark.parametrize(("command", "option"), [(name, one) for name, all_of in OPTIONS_OF.items() for one in all_of])
def test_every_option_is_documented(command: str, option: str) -> None:
    home = HOMES[command]
    home = next((line for line in home.splitlines() if line.startswith(f"| `snooze {command} ")), home)
    assert re.search(rf"`?{option}\b(?!-)", home), f"{option} of snooze {command} is not documented"


@pytest.mark.parametrize(
    ("page", "option", "default"),
    [
        (page, option, default)
        for command, page in (("convert", CONVERT), ("deploy", KNATIVE), ("rollout", KNATIVE + ROLLOUTS))
        for option, default in OPTIONS_OF[command].items()
        if isinstance(default, int | float | str) and not isinstance(default, bool)
    ],
)
def test_the_defaults_of_options_are_documented(page: str, option: str, default: float | str) -> None:
    row = next(row for row in table(page) if option in code(row[0]))
    assert (default if isinstance(default, str) else f"{default:g}") in row[-2]


@pytest.mark.parametrize("name", PAGES)
def test_no_page_uses_an_unknown_option(name: str) -> None:
    for command, given in re.findall(r"^snooze (bench \w+|\w+)(.*)$", PAGES[name].replace("\\\n", " "), re.MULTILINE):
        used = re.findall(r"(?<= )--[a-z0-9-]+", given.split("#")[0].split(" | ")[0])
        assert set(used) <= set(OPTIONS_OF[command]), f"{name}: snooze {command}{given}"
    for span in code(PAGES[name]):
        if re.fullmatch(r"--[a-z0-9-]+", span):
            assert any(span in known for known in OPTIONS_OF.values()), f"{name} mentions {span}"


def test_every_metric_is_documented_with_its_labels() -> None:
    families = [one for one in vars(metrics.Metrics()).values() if isinstance(one, metrics.Family)]
    rows = {name: row for row in table(section(HTTP, "## Metrics")) for name in code(row[0])}

    assert set(rows) == {family.name for family in (*families, *metrics.process())}
    for family in families:
        _, kind, labels, _ = rows[family.name]
        assert (kind, tuple(labels.split(", "))) == (family.kind, family.labels)
    assert code(rows["snooze_cold_start_seconds"][3]) == list(PHASES)
    assert set(code(rows["snooze_refused_total"][3])) == set(responses.REASONS.values())


def test_every_error_status_is_documented() -> None:
    statuses = set(responses.STATUS.values())
    assert [int(row[0]) for row in table(section(HTTP, "## Errors"))] == sorted(statuses)


def test_every_refusal_of_a_conversion_is_documented() -> None:
    own = {name for name, value in vars(refusals).items() if getattr(value, "__module__", "") == refusals.__name__}
    rows = table(section(CONVERT, "## What a refusal means"))
    shared = {"InvalidData", "InvalidOption", "MissingExtra"}
    assert {code(row[0])[0] for row in rows} == own - {"ConversionError", "Refused"} | shared


def format_power(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-")


@pytest.mark.parametrize(
    "sentence",
    [
        f"{format_power(parity.ATOL)} + {format_power(parity.RTOL)} × \\|value\\|",
        f"{format_power(parity.ATOL)} × their range + {format_power(parity.RTOL)} × \\|value\\|",
        f"but for {parity.MAX_TREE_OUTLIERS * 1000:g} row in 1,000",
        f"two best scores nearer than {format_power(parity.NEAR_TIE)}",
        f"fewer than {candidates.MIN_ROWS} of them",
        f"a quarter ({candidates.MIN_CALIBRATION} to {candidates.MAX_CALIBRATION}) calibrates",
        f"does not run {candidates.MIN_GAIN:g} times as fast as fp32",
        f"at most {100 * (variants.MAX_SLOWDOWN - 1):.0f} % slower",
        f"from {variants.MIN_BYTES_BESIDE // 2**20} MiB on",
        f"A run shorter than {variants.SHORT_RUN * 1e3:g} ms",
        f"Of more than {dataset.MAX_ROWS:,} rows",
        f"{synthetic.ROWS} rows are drawn",
        f"(by {golden.MIN_MARGIN[False]:g}, or {golden.MIN_MARGIN[True]:g} in 8 bits)",
        f"took more than {profile.MAX_SECONDS:.0f} s",
    ],
)
def test_the_thresholds_of_a_conversion_are_those_of_the_code(sentence: str) -> None:
    assert sentence in one_line(CONVERT)


@pytest.mark.parametrize(
    "sentence",
    [
        f"{sizing.MEMORY_HEADROOM:g} × the peak, + {MEMORY_FACTOR} × the largest body",
        f"at least {sizing.MIN_CPU * 1e3:.0f}m",
        f"planned at {sizing.PLANNED_UTILIZATION:g} at most",
        f"at most {sizing.FEW_SLOTS} slots",
        f"under {sizing.CHEAP_SECONDS * 1e3:g} ms",
        f"{figures.START_MARGIN} × the CPU time of a start / the CPU request, at least {figures.MIN_START_TIMEOUT}",
        f"({figures.START_CPU_SECONDS:g} s for the server,",
        f"{figures.BYTE_SECONDS * 1e9:g} ns for each byte",
        f"`/healthz` each {figures.PROBE_PERIOD} s",
        f"after {readiness.PATIENCE_SECONDS:g} s of a problem",
        f"at most after {readiness.DEADLINE_SECONDS:g} s",
        *(f"`{name}`" for name in Calibration.__slots__),
        *(
            f"| {figure} | {100 * seen.typical:.2g} % | {100 * seen.largest:.3g} % |"
            for figure, seen in zip(
                ("p50", "p99", "CPU", "peak memory"), read_figures().deviations.values(), strict=True
            )
        ),
    ],
)
def test_the_figures_of_sizing_are_those_of_the_code(sentence: str) -> None:
    assert sentence in one_line(KNATIVE)


def test_the_build_arguments_of_the_image_are_documented() -> None:
    arguments = re.findall(r"^ARG (\w+)=(.*)$", DOCKERFILE, re.MULTILINE)
    rows = {code(row[0])[0]: row[1].strip("`") for row in table(IMAGE.split("\n## ")[0])}
    assert rows == {name: default or "none" for name, default in arguments}


@pytest.mark.parametrize("name", MARKDOWN)
def test_links_have_targets(name: str) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", MARKDOWN[name]):
        path = ((ROOT / name).parent / target).resolve() if target else ROOT / name
        assert path.exists(), f"{name} links to {target}"
        if anchor:
            titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", MARKDOWN)
def test_every_named_file_and_module_exists(name: str) -> None:
    for path in re.findall(rf"(?<![\w/.~-])(?:{'|'.join(FOLDERS)})/[\w./*-]*[\w*]", MARKDOWN[name]):
        assert list(ROOT.glob(path)), f"{name} names {path}"
    for module in re.findall(r"(?<![\w/.])snooze((?:\.\w+)+)\b(?!/)", MARKDOWN[name]):
        parent, _, last = f"snooze{module}".rpartition(".")
        found = parent != "snooze" and hasattr(import_module(parent), last)
        is_label = f'snooze{module}="' in DOCKERFILE
        assert found or is_label or find_spec(f"snooze{module}"), f"{name} names snooze{module}"


def test_every_block_of_python_is_run_by_a_test() -> None:
    """Those of bundle.md by tests/bundle, of inputs.md by test_texts.py, the others by test_docs_examples.py."""
    with_python = {name: len(python_blocks(text)) for name, text in MARKDOWN.items() if python_blocks(text)}
    assert with_python == {"docs/bundle.md": 1, "docs/convert.md": 1, "docs/http.md": 2, "docs/inputs.md": 2}
