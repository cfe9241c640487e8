"""The expressions a form holds itself: their languages, their syntax, the names they use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from app import fhirpath
from app.dtr import extensions
from app.dtr.checks.subject import Subject
from app.dtr.expressions import CLIENT_LANGUAGES, FHIRPATH, launch_names
from app.rulebook.spelling import nearest

QUERY = "application/x-fhir-query"
LANGUAGES = (FHIRPATH, *sorted(CLIENT_LANGUAGES))
_CONTEXT_EXPRESSION = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-contextExpression"
_ELM = {
    "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/alternativeExpression",
    "http://hl7.org/fhir/us/ecr/StructureDefinition/us-ph-alternative-expression-extension",
}
_FLOW = {
    extensions.ENABLE_WHEN_EXPRESSION,
    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-answerOptionsToggleExpression",
    "http://hl7.org/fhir/StructureDefinition/cqf-expression",
}
_OWN = frozenset({"questionnaire", "qitem"})


def check_expressions(subject: Subject) -> None:
    """Every Expression of the form and its items."""
    names = {*_OWN, *launch_names(subject.form), *_named(subject.form)}
    for url, expression in _expressions(subject.form):
        _check(subject, None, url, expression, names)
    within: dict[str, set[str]] = {}
    for item, above in subject.items:
        link_id = item["linkId"]
        within[link_id] = {*names, *(name for each in above for name in within[each]), *_named(item)}
        for url, expression in _expressions(item):
            _check(subject, link_id, url, expression, within[link_id])


def _expressions(element: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every Expression directly on an element, with the URL of its extension; contextExpression nests one deeper."""
    listed = element.get("extension")
    for extension in listed if isinstance(listed, list) else ():
        url, expression = str(extension.get("url")), extension.get("valueExpression")
        if isinstance(expression, dict):
            yield url, expression
        if url == _CONTEXT_EXPRESSION:
            for part in extension.get("extension", ()):
                if isinstance(part.get("valueExpression"), dict):
                    yield url, part["valueExpression"]


def _named(element: Mapping[str, Any]) -> Iterator[str]:
    for _, expression in _expressions(element):
        if isinstance(expression.get("name"), str):
            yield expression["name"]


def _check(subject: Subject, link_id: str | None, url: str, expression: Mapping[str, Any], names: set[str]) -> None:
    what, language, text = url.rsplit("/", 1)[-1], expression.get("language"), expression.get("expression")
    what = what.removeprefix("sdc-questionnaire-")
    if language not in LANGUAGES:
        subject.error(
            link_id, f"{what} is in '{language}', which no client need know.", nearest(str(language), LANGUAGES)
        )
        return
    if not isinstance(text, str) or not text.strip():
        subject.error(link_id, f"{what} has no expression.", "Add it.")
        return
    if url in _FLOW and language == FHIRPATH:
        words = f"{what} is in FHIRPath; DTR wants CQL for what shows and hides (spec-18)."
        subject.error(link_id, words, "Use enableWhen where that is enough, else CQL.")
    if url in _FLOW and language == QUERY:
        subject.error(link_id, f"{what} cannot be a query (SDC sdc-inv1).", "Write CQL.")
    if language == "text/cql" and not any(any(extensions.of(expression, elm)) for elm in _ELM):
        words = f"{what} is CQL in the form without its ELM (DTR spec-96)."
        subject.error(link_id, words, "Put it in the library and name it in text/cql-identifier, or add the ELM.")
    if language == "text/cql-identifier" and not any(extensions.of(subject.form, extensions.CQF_LIBRARY)):
        subject.error(link_id, f"{what} names a library, and the form has none.", "Add the extension cqf-library.")
    several = len(list(extensions.of(subject.form, extensions.CQF_LIBRARY))) > 1
    if several and language in ("text/cql", "text/cql-identifier") and _says_no_library(text):
        words = f"{what} does not say which of the form's libraries it means (DTR spec-97)."
        subject.error(link_id, words, 'Write "Library".Definition.')
    if language == FHIRPATH:
        _check_fhirpath(subject, link_id, what, text, names)


def _says_no_library(text: str) -> bool:
    return re.match(r'\s*(?:"[^"]+"|[A-Za-z_]\w*)\s*\.', text) is None


def _check_fhirpath(subject: Subject, link_id: str | None, what: str, text: str, names: set[str]) -> None:
    try:
        fhirpath.compile(text, variables=names, types={"patient": "Patient"})
    except fhirpath.FhirPathSyntaxError as error:
        words = f"{what}: {error.message}\n{error.caret()}"
        subject.error(link_id, words, "Correct the FHIRPath expression.")
