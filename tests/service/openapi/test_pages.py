from jsonschema import Draft202012Validator

from snooze.service.app import ROUTES
from snooze.service.openapi.document import ERRORS
from snooze.service.openapi.pages import PAGES


def test_each_handler_has_a_page() -> None:
    assert {route.handler for route in ROUTES} - {"predict"} <= set(PAGES)


def test_pages_consist_of_schemas_and_known_errors() -> None:
    for page in PAGES.values():
        Draft202012Validator.check_schema(page.answer or {})
        Draft202012Validator.check_schema(page.request or {})
        assert set(page.errors) <= set(ERRORS)
