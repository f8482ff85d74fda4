import pytest

from snooze.service.app import ROUTES
from snooze.service.messages import Call, Route
from snooze.service.pages.application import Pages


def test_a_call_returns_json_and_has_no_limit_by_default() -> None:
    call = Call({}, ["label"])

    assert (call.binary, call.id, call.timeout) == (None, None, None)


def test_a_path_is_listed_once() -> None:
    assert len({route.path for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_has_a_handler(route: Route) -> None:
    assert route.handler in ("alive", "ready") or callable(getattr(Pages, route.handler))
