from snooze.bundle.html import page, table


def test_escapes_titles_and_cells() -> None:
    found = "".join(table(["<a>"], [["<b>"], [None], [1.23456]]))

    assert '<th class="n">&lt;a&gt;</th>' in found
    assert "<td>&lt;b&gt;</td>" in found
    assert "<td>–</td>" in found
    assert '<td class="n">1.235</td>' in found


def test_a_page_allows_nothing_from_the_network() -> None:
    found = page("<title>", ["<p>text</p>"])

    assert "default-src 'none'" in found
    assert "<title>&lt;title&gt;</title>" in found
    assert "<p>text</p>" in found
