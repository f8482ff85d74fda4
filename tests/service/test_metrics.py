import pytest

from snooze.service.metrics import Family, Metrics, process


def test_a_counter_is_the_same_each_time() -> None:
    family = Family("things_total", "counter", "Things.", ("kind",))
    family.value("a").value += 2
    family.value("a").value += 1

    assert list(family.lines()) == [
        "# HELP things_total Things.",
        "# TYPE things_total counter",
        'things_total{kind="a"} 3',
    ]


def test_buckets_are_cumulative_and_include_their_bound() -> None:
    family = Family("wait_seconds", "histogram", "Wait.", (), (0.1, 1.0))
    for value in (0.1, 0.5, 1.0, 7.5):
        family.histogram().observe(value)

    assert list(family.lines())[2:] == [
        'wait_seconds_bucket{le="0.1"} 1',
        'wait_seconds_bucket{le="1"} 3',
        'wait_seconds_bucket{le="+Inf"} 4',
        "wait_seconds_sum 9.1",
        "wait_seconds_count 4",
    ]


@pytest.mark.parametrize(("text", "written"), [('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("a\nb", r"a\nb")])
def test_labels_are_escaped(text: str, written: str) -> None:
    family = Family("x", "gauge", "X.", ("name",))
    family.value(text).value = 0.5

    assert list(family.lines())[2] == f'x{{name="{written}"}} 0.5'


def test_every_metric_of_the_design_is_there() -> None:
    text = Metrics().exposition().decode()

    for name in (
        "snooze_requests_total",
        "snooze_request_seconds",
        "snooze_run_seconds",
        "snooze_queue_seconds",
        "snooze_batch_rows",
        "snooze_refused_total",
        "snooze_in_flight",
        "snooze_model_ready",
        "snooze_cold_start_seconds",
        "snooze_build_info",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ):
        assert f"# TYPE {name} " in text


def test_the_process_has_used_some_time_and_memory() -> None:
    values = {family.name: family.value().value for family in process()}

    assert values["process_cpu_seconds_total"] > 0
    assert values["process_resident_memory_bytes"] > 2**20
    assert values["process_threads"] >= 1
