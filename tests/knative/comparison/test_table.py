from tests.knative.comparison.test_report import compared

from snooze.knative.comparison.table import format_comparison


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line]


def test_shows_both_arms_and_the_winner() -> None:
    shown = lines(format_comparison(compared(["a"] * 20, ["a"] * 10 + ["b"] * 10, ["a"] * 10 + ["b"] * 10)))

    assert shown[:3] == ["tumour in models: 20 rows", "v1 v2", "revision tumour-v1 tumour-v2"]
    assert "labels a 100.0% a 50.0%, b 50.0%" in shown
    assert "accuracy 0.5 (0.2993 to 0.7007) 1 (0.8389 to 1)" in shown
    assert shown[-3:] == [
        "v2 is better (95 % confidence; McNemar's exact test: p = 0.00195)",
        "accuracy of v2 minus that of v1: +0.5 (+0.2282 to +0.6809), on 20 rows that both answered",
        "only v1 is right in 0 rows, only v2 in 10",
    ]


def test_says_what_would_have_been_found_where_nobody_wins() -> None:
    shown = lines(format_comparison(compared(["a"] * 50, ["a"] * 50, ["a"] * 50)))

    assert shown[-4] == "no winner (95 % confidence; McNemar's exact test: p = 1)"
    assert shown[-1] == "with so many rows a difference of 0.12 is found in 80 of 100 comparisons"


def test_shows_errors_and_that_there_is_no_verdict() -> None:
    shown = lines(format_comparison(compared(["a"], [None], ["a"])))

    assert "v2 gave 1 error; the first one: it answered 500" in shown
    assert shown[-1] == "no verdict: there is no row that both arms answered"
    assert "p50 2 ms –" in shown


def test_shows_values_of_a_regression() -> None:
    shown = lines(format_comparison(compared([1.0, 2.0], [1.0, 2.0], [1.0, 2.0], "value")))
    assert "values p5 1.05, p50 1.5, p95 1.95 p5 1.05, p50 1.5, p95 1.95" in shown
