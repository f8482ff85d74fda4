from snooze.service.pages.frame import Links, respond


def test_a_page_runs_only_what_the_server_has() -> None:
    status, headers, body = respond("<title>", ["<p>text</p>"], ("page.css", "page.js"), Links(docs=True, report=False))

    policy = dict(headers)[b"content-security-policy"].decode()
    assert status == 200
    assert b"<title>&lt;title&gt;</title>" in body
    assert b'<link rel="stylesheet" href="static/style.css"><link rel="stylesheet" href="static/page.css">' in body
    assert b'<script src="static/page.js" defer></script>' in body
    assert b'<main id="main">\n<p>text</p>\n</main>' in body
    assert b"<style" not in body
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert dict(headers)[b"x-content-type-options"] == b"nosniff"


def test_only_what_is_served_is_linked() -> None:
    for docs in (True, False):
        page = respond("Snooze", [], (), Links(docs, report=False)).body
        assert (b'href="docs"' in page) == docs
        assert b'href="openapi.json"' in page
        assert b'href="/' not in page  # a link to the root of the host would leave out a path prefix
