import pytest

from snooze.benchmarks import errors


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (
            errors.NotMeasurable("process 7", "there is no such process"),
            "cannot measure process 7: there is no such process",
            2,
        ),
        (errors.MissingProgram("wrk", "apt-get install wrk"), "'wrk' is not installed; run: apt-get install wrk", 2),
        (errors.LoadFailed("it stopped"), "the load generator failed: it stopped", 2),
        (errors.NotConverted("mlp", "no space"), "the model 'mlp' was not converted: no space", 2),
        (errors.StartFailed("snooze", "no model"), "snooze did not start: no model", 2),
        (
            errors.WrongAnswer("snooze", "status 500"),
            "snooze does not return the bundle's golden outputs: status 500",
            1,
        ),
    ],
)
def test_an_error_has_a_message_and_an_exit_code(error: errors.BenchmarkError, message: str, code: int) -> None:
    assert (str(error), error.exit_code) == (message, code)
