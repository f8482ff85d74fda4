"""The page at `/`: what is served, and for each model a form to try it."""

from collections.abc import Iterator
from html import escape
from typing import Final
from urllib.parse import parse_qs

from snooze.bundle.store import REPORT
from snooze.service.messages import Response
from snooze.service.pages import facts, form, frame
from snooze.service.runtime.repository import Entry, Repository

FILES: Final = ("page.css", "page.js")


def respond(repository: Repository, query: bytes, links: frame.Links) -> Response:
    """
    Return the page of the model and the version that `query` names: the default version, and the only model.

    Where several models are served and none is named, or one that is not served, it is a list of the models.
    """
    asked = {name: values[0] for name, values in parse_qs(query.decode("latin-1")).items()}
    name, version = asked.get("model"), asked.get("version")
    if name is None and len(repository.versions) == 1:
        (name,) = repository.versions
    if name is None:
        return frame.respond("Snooze", _list(repository), FILES, links)
    entry = _find(repository, name, version)
    if entry is None:
        wanted = f"model '{name}'" if version is None else f"version '{version}' of model '{name}'"
        problem = f'<p class="problem">There is no {escape(wanted)} here.</p>'
        return frame.respond("Not found", [*_list(repository, problem)], FILES, links, status=404)
    return frame.respond(entry.name, _model(repository, entry, links), FILES, links)


def _find(repository: Repository, name: str, version: str | None) -> Entry | None:
    if name not in repository.versions:
        return None
    if version is None:
        return repository.default(name)
    return next((one for one in repository.versions[name].values() if str(one.version) == version), None)


def _list(repository: Repository, problem: str = "") -> Iterator[str]:
    yield f"<h1>Models</h1>{problem}"
    if not repository.versions:
        yield "<p>No model is loaded.</p>"
        return
    yield '<ul class="models">'
    for name in repository.versions:
        entry = repository.default(name)
        yield f'<li><a href="{_address(entry)}"><b>{escape(name)}</b> {_state(entry)}'
        yield f'<span class="note">version {entry.version}</span>'
        if entry.model is not None:
            yield f"<span>{escape(facts.summarize(entry.model))}</span>"
        else:
            yield f'<span class="bad">{escape(str(entry.error))}</span>'
        yield "</a></li>"
    yield "</ul>"


def _model(repository: Repository, entry: Entry, links: frame.Links) -> Iterator[str]:
    yield f'<h1>{escape(entry.name)} <span class="version">version {entry.version}</span> {_state(entry)}</h1>'
    yield from _others(repository, entry)
    if entry.error is not None:  # it may be that of a bundle which was to replace the one that is served
        yield f'<p class="problem">{escape(str(entry.error))}</p>'
    if entry.model is None:
        return
    base = f"models/{entry.name}"
    if entry is not repository.default(entry.name):
        base += f"/versions/{entry.version}"
    yield '<section aria-labelledby="try-title"><h2 id="try-title">Try it</h2><div class="try">'
    yield from form.render(entry.model, base)
    yield (
        '<div class="answer"><p id="status" role="status"></p><div id="answer"></div></div></div>'
        "<noscript><p>The form needs JavaScript. Programs do not: they post the rows to "
        f"<code>{escape(base)}/predict</code>.</p></noscript></section>"
        '<section id="calls" aria-labelledby="calls-title" hidden><h2 id="calls-title">The same request</h2>'
    )
    for name, title in (("curl", "curl"), ("python", "Python")):
        yield (
            f'<div class="call"><h3>{title}</h3><button type="button" data-copy="{name}">Copy</button>'
            f'<pre id="{name}" tabindex="0" role="region" aria-label="{title}"></pre></div>'
        )
    yield '</section><section aria-labelledby="facts-title"><h2 id="facts-title">About the model</h2><dl class="facts">'
    for fact in facts.collect(entry.model):
        note = f'<dd class="note">{escape(fact.note)}</dd>' if fact.note else ""
        yield f"<div><dt>{escape(fact.name)}</dt><dd>{escape(fact.value)}</dd>{note}</div>"
    yield "</dl>"
    if links.report and REPORT in entry.model.bundle.files:
        yield f'<p><a href="{base}/report">The report</a>: the whole evidence.</p>'
    yield "</section>"


def _others(repository: Repository, entry: Entry) -> Iterator[str]:
    versions = repository.versions[entry.name].values()
    if len(versions) > 1:
        listed = ", ".join(
            str(one.version) if one is entry else f'<a href="{_address(one, versioned=True)}">{one.version}</a>'
            for one in versions
        )
        yield f'<p class="note">All versions: {listed}</p>'


def _address(entry: Entry, versioned: bool = False) -> str:
    """Return the page of a model; its name is safe in an address."""
    return f"?model={entry.name}" + (f"&amp;version={entry.version}" if versioned else "")


def _state(entry: Entry) -> str:
    if entry.model is not None and entry.model.proved:
        return '<span class="state good">ready</span>'
    return '<span class="state bad">not ready</span>'
