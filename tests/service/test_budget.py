from snooze.service.budget import Budget


def test_what_is_used_does_not_fit_again() -> None:
    budget = Budget(100)
    budget.used += 60

    assert budget.has(40)
    assert not budget.has(41)
    assert budget.problem == "the 100 bytes that this server has for requests are in use"
