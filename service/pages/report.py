"""The report of a bundle: HTML that the author of the model wrote, so it may do nothing but be shown."""

from typing import Final

from snooze.bundle.errors import BundleError
from snooze.bundle.html import POLICY
from snooze.bundle.store import REPORT, verify
from snooze.service.errors import NotServed
from snooze.service.messages import Response
from snooze.service.pages.frame import HTML, SAFE
from snooze.service.runtime.model import Model

SANDBOX: Final = f"{POLICY}; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox".encode()


def respond(model: Model, is_on: bool) -> Response:
    """
    Return the report of a model.

    Raises:
        NotServed: reports are switched off, the bundle has none, or it was changed.
    """
    what = f"the report of model '{model.name}'"
    if not is_on:
        raise NotServed(what, "reports are off; start the server with --report or SNOOZE_REPORT=on")
    if REPORT not in model.bundle.files:
        raise NotServed(what, "its bundle has none")
    try:
        verify(model.folder, model.bundle, [REPORT])
    except BundleError:
        raise NotServed(what, "report.html was changed or removed after the bundle was written") from None
    headers = [HTML, (b"content-security-policy", SANDBOX), (b"cache-control", b"no-cache"), *SAFE]
    return Response(200, headers, (model.folder / REPORT).read_bytes())
