"""A completed form that comes back: whose it is, and whether it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.dtr.answer_space import Expand, codings_in
from app.dtr.answers import InvalidAnswers, check
from app.dtr.asked import form_of
from app.dtr.draft import Version
from app.dtr.next_question import NextQuestionRequest, next_step
from app.dtr.package import assertion_of
from app.dtr.parameters import read_resource
from app.dtr.promised import Promised
from app.dtr.publish import is_adaptive
from app.errors import InvalidRequest, UnprocessableRequest
from app.fhir import bundles, references
from app.rulebook.rulebook import Rulebook

Resource = dict[str, Any]

_DONE = frozenset({"completed", "amended"})


@dataclass(frozen=True, slots=True)
class Completed:
    """A response that may be kept: its form's `url|version`, and those of its items that count."""

    canonical: str
    items: list[Resource]


def read_response(body: bytes) -> Resource:
    """The response of a body: itself, or the first entry of a DTR-QRBundle (spec-157). InvalidRequest."""
    resource = read_resource(body)
    if bundles.is_bundle(resource):
        resource = next(bundles.resources(resource), resource)
    if resource["resourceType"] != "QuestionnaireResponse":
        raise InvalidRequest("Send a QuestionnaireResponse, or a Bundle that begins with one.", code="structure")
    status = resource.get("status")
    if not isinstance(status, str) or status not in _DONE:
        raise UnprocessableRequest(
            "Only a response that is completed or amended is taken.",
            element="QuestionnaireResponse.status",
            code="business-rule",
        )
    return resource


def context_of(response: Resource, stated: str | None) -> str:
    """The coverage-assertion-id it belongs to: in its identifier, as the draft had it, or stated beside it."""
    found = assertion_of(response) or stated
    if not found:
        raise InvalidRequest(
            "Say which answer the response belongs to: keep the draft's identifier, or call with ?context=.",
            element="QuestionnaireResponse.identifier",
            code="required",
        )
    return found


def complete(
    response: Resource,
    promised: Promised,
    version: Version,
    current: Rulebook,
) -> Completed:
    """The response, held against its form. UnprocessableRequest when it is of another form or patient."""
    if promised.patient is not None and references.local_key(response.get("subject")) != promised.patient:
        raise UnprocessableRequest(
            "The response is about another patient than the answer.",
            element="QuestionnaireResponse.subject",
            code="business-rule",
        )
    contained = _contained(response)
    canonical = contained.derived_from if contained is not None else str(response.get("questionnaire") or "")
    asked = [(rulebook, each) for each in promised.every for rulebook in dict.fromkeys((each.rulebook, current))]
    for rulebook, each in asked:
        slug = form_of(canonical, rulebook)
        if slug is not None and slug in each.forms:
            form, expand = dict(rulebook.forms[slug]), codings_in(rulebook.value_sets)
            if contained is not None and is_adaptive(form):
                items = _adaptive(form, contained, expand, version)
            else:
                items = _whole(form, response, expand)
            return Completed(rulebook.questionnaires[slug], items)
    raise UnprocessableRequest(
        "The answer did not ask for this form.", element="QuestionnaireResponse.questionnaire", code="business-rule"
    )


def _whole(form: Mapping[str, Any], response: Resource, expand: Expand) -> list[Resource]:
    checked = check(form, response, expand, complete=True)
    if checked.issues:
        raise InvalidAnswers(checked.issues)
    return checked.items


def _adaptive(
    form: Mapping[str, Any], contained: NextQuestionRequest, expand: Expand, version: Version
) -> list[Resource]:
    step = next_step(form, contained, expand, version)
    if step.new:
        raise UnprocessableRequest(
            "The form is not complete: ask $next-question.", element="QuestionnaireResponse.status", code="incomplete"
        )
    return _whole({**form, "item": list(step.items)}, contained.response, expand)


def _contained(response: Resource) -> NextQuestionRequest | None:
    """The form in use that an adaptive response contains."""
    listed = response.get("contained")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and response.get("questionnaire") == f"#{each.get('id')}":
            return NextQuestionRequest(response, each)
    return None
