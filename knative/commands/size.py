"""`snooze size`: options, output and exit codes."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from snooze.knative.commands.service import add_bundle, add_load, calculate

if TYPE_CHECKING:
    from snooze.knative.sizing.size import Size

SIZE_EXAMPLES: Final = """\
examples:
  snooze size models/tumour --rps 50
      the size for 50 requests per second, for the newest version
  snooze size models/tumour/3 --rps 1000 --p99 20ms
      enough pods for 99 of 100 requests to take at most 20 ms
  snooze size models/digits --rps 20 --rows 32 --json
      requests of 32 rows each; figures as JSON

The figures are for the CPU that the bundle was converted on. Exit codes: 0 done, 1 the p99 is not possible, 2 the
bundle or the options are wrong."""


def size_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `snooze size`."""
    add_bundle(parser, SIZE_EXAMPLES)
    add_load(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def size(options: argparse.Namespace) -> int:
    """Print the size of a service for a load."""
    found, profile, needed = calculate(options)
    if options.json:
        print(json.dumps({"model": found.name, "version": found.version, **asdict(needed)}, indent=2))
    else:
        print(f"{found.name} version {found.version}, measured on {profile.cpu}\n")
        print(format_table(needed))
    return 0


def format_table(size: "Size") -> str:
    """Return a size as a table, each figure with its expected error."""
    from snooze.bundle.units import format_count, format_duration, format_size
    from snooze.knative.manifest.quantities import format_cpu, format_memory

    def error(figure: str) -> str:
        deviation = size.deviations[figure]
        return f"typical error {deviation.typical:.0%}, largest seen {deviation.largest:.0%}"

    pod, p99 = size.pod, f", p99 <= {format_duration(size.p99_seconds)}" if size.p99_seconds else ""
    cpu = f"request {format_cpu(size.cpu_request)}, limit {format_cpu(size.cpu_limit)}"
    memory = f"request {format_memory(size.memory_request)}, limit {format_memory(size.memory_limit)}"
    lines = [
        ("load", f"{size.rps:g} requests/s of {format_count(size.rows, 'row')}{p99}", ""),
        ("pods", f"{size.pods}, each for up to {size.rps_per_pod:.4g} requests/s", error("cpu_cores")),
        ("cpu", cpu, error("cpu_cores")),
        ("memory", memory, error("peak_bytes")),
        ("", f"largest body {format_size(size.max_body)}", ""),
        ("concurrency", f"target {size.target}, limit {size.concurrency or 'none'}", ""),
        ("latency", f"p50 {format_duration(pod.p50_seconds)}", error("p50_seconds")),
        ("", f"p99 {format_duration(pod.p99_seconds)}", error("p99_seconds")),
    ]
    return "\n".join(f"  {name:12} {value:48} {note}".rstrip() for name, value, note in lines)
