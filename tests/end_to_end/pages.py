"""The Markdown pages, and functions to read them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("bundle", "convert", "service", "client", "knative", "benchmarks", "docs", "examples", "scripts", "tests")
MARKDOWN = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in sorted((*ROOT.glob("*.md"), *(found for name in FOLDERS for found in (ROOT / name).rglob("*.md"))))
}
PAGES = {name: text for name, text in MARKDOWN.items() if name.startswith("docs/")}
SETTINGS, HTTP, CONVERT, KNATIVE, ROLLOUTS, IMAGE = (
    PAGES[f"docs/{name}.md"] for name in ("settings", "http", "convert", "knative", "rollouts", "image")
)


def section(page: str, heading: str) -> str:
    """Return the text below a heading, up to the next one of its level."""
    level = len(heading.split(" ")[0])
    return re.split(rf"\n#{{1,{level}}} ", page.split(f"\n{heading}\n", 1)[1], maxsplit=1)[0]


def table(text: str) -> list[list[str]]:
    """Return the cells of every table row in a text, without headings."""
    rows = [line for line in re.sub(r"\n\|[^\n]*\n\| ---[^\n]*", "", f"\n{text}").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def code(text: str) -> list[str]:
    """Return the spans between backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def one_line(text: str) -> str:
    """Return a text without line breaks."""
    return " ".join(text.split())


def python_blocks(page: str) -> list[str]:
    """Return every block of Python on a page."""
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)
