import pytest
from tests.service.conftest import Client

from snooze.service.pages.files import FILES


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_sent_once(client: Client, name: str) -> None:
    first = client.ask("GET", f"/static/{name}")
    again = client.ask("GET", f"/static/{name}", if_none_match=first.headers["etag"])

    assert (first.status, first.body) == (200, FILES[name].read_bytes())
    assert first.headers["content-type"].partition(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["cache-control"] == "no-cache"
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])


@pytest.mark.parametrize("name", ["nothing.js", "..", "%2e%2e%2ffiles.py", "files.py"])
def test_there_is_no_other_file(client: Client, name: str) -> None:
    assert client.ask("GET", f"/static/{name}").status == 404
