"""$next-question: an adaptive form, asked a step at a time (SDC, "Adaptive Questionnaires"; davinci-dtr).

An adaptive form is an ordinary one that is marked so (`sdc-questionnaire-questionnaireAdaptive`). Its top-level items
are its steps, in order; `enableWhen` says for whom one is. A call adds every step that can be decided by the answers so
far, and stops before the first that depends on what has just been asked. When there is none left, the form is complete.

Nothing is kept between calls: what was asked stands in the form that the response contains, and the steps themselves
are taken from the form on file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.crd.coverage_information import URL
from app.dtr.answer_space import Expand
from app.dtr.answers import InvalidAnswers, check
from app.dtr.draft import Version
from app.dtr.enable_when import enabled
from app.dtr.parameters import parameters_of, read_resource
from app.errors import InvalidRequest
from app.rulebook.prefill import walk

Resource = dict[str, Any]

_NAMES = frozenset({"questionnaire-response", "questionnaire-response-in", "in"})


@dataclass(frozen=True, slots=True)
class Step:
    """What a call leads to: the items asked so far, and those of them that are new. None new: the form is complete."""

    items: tuple[Resource, ...]
    new: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class NextQuestionRequest:
    """A response, and the form in use that it contains."""

    response: Resource
    form: Resource

    @property
    def derived_from(self) -> str:
        """The canonical of the adaptive form."""
        named = self.form.get("derivedFrom")
        found = next((each for each in named if isinstance(each, str)), None) if isinstance(named, list) else None
        return found or str(self.form.get("url") or "")


def parse_next_question(body: bytes) -> NextQuestionRequest:
    """Read a call: Parameters, by any name that the versions gave it, or the response itself."""
    resource = read_resource(body)
    if resource["resourceType"] == "Parameters":
        found = [each.resource for each in parameters_of(resource) if each.name in _NAMES]
        if len(found) != 1:
            raise InvalidRequest("Send one questionnaire-response.", element="Parameters.parameter", code="required")
        resource = found[0]
    if resource["resourceType"] != "QuestionnaireResponse":
        raise InvalidRequest("This is no QuestionnaireResponse.", code="structure")
    named = resource.get("questionnaire")
    contained = resource.get("contained")
    for each in contained if isinstance(contained, list) else ():
        is_form = isinstance(each, dict) and each.get("resourceType") == "Questionnaire"
        if is_form and isinstance(named, str) and named == f"#{each.get('id')}":
            return NextQuestionRequest(resource, each)
    raise InvalidRequest(
        "The response does not contain the form that it is to.",
        element="QuestionnaireResponse.contained",
        code="required",
    )


def next_step(form: Mapping[str, Any], request: NextQuestionRequest, expand: Expand, version: Version) -> Step:
    """The next step of a form. InvalidAnswers when those given do not suit what was asked."""
    steps = {str(item["linkId"]): dict(item) for item in form.get("item", ())}
    asked = [str(item.get("linkId")) for item in request.form.get("item") or () if isinstance(item, dict)]
    for link_id in asked:
        if link_id not in steps:
            raise InvalidRequest(
                f"The form has no step '{link_id[:60]}'.", element="QuestionnaireResponse.contained.item", code="value"
            )
    so_far = [steps[link_id] for link_id in asked]
    checked = check({**form, "item": so_far}, request.response, expand, complete=True)
    given = {
        link_id: [answer for item in found for answer in item.get("answer", ())]
        for link_id, found in _by_link(checked.items).items()
    }
    answers: Callable[[str], list[Resource]] = lambda question: given.get(question, [])  # noqa: E731
    shown = {link_id for link_id, _ in walk(request.form.get("item"))}
    if version == "2.0":
        # There the form in use has no enableWhen: what is not enabled is not asked, and what becomes so is asked next.
        late = [item for item in _plain(so_far, answers) if not _links(item) <= shown]
        issues = [each for each in checked.issues if not _is_late(each, shown, so_far)]
    else:
        late, issues = [], checked.issues
    if issues:
        raise InvalidAnswers(issues)
    decided = set(shown.intersection(link_id for item in so_far for link_id in _links(item)))
    items: list[Resource] = []
    new: list[Resource] = []
    for link_id, item in steps.items():
        if link_id in asked:
            if enabled(item, answers) or link_id in {each["linkId"] for each in checked.items}:
                items.append(item)
            continue
        if any(str(condition.get("question")) not in decided for condition in item.get("enableWhen", ())):
            break
        if enabled(item, answers):
            items.append(item)
            new.append(item)
        else:
            decided |= _links(item)  # passed over, so what is in it is never answered
    if version == "2.0":
        return Step(tuple(_plain(items, answers)), tuple(_plain([*late, *new], answers)))
    return Step(tuple(items), tuple(new))


def _links(item: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(link_id for link_id, _ in walk([item]))


def _plain(items: list[Resource], answers: Callable[[str], list[Resource]]) -> Iterator[Resource]:
    """Items that are enabled, without saying when."""
    for item in items:
        if enabled(item, answers):
            made = {name: value for name, value in item.items() if name not in ("enableWhen", "enableBehavior")}
            if "item" in item:
                made["item"] = list(_plain(item["item"], answers))
            yield made


def _is_late(issue: Mapping[str, Any], shown: set[str], so_far: list[Resource]) -> bool:
    """Whether an issue is about an item that has not been asked yet."""
    path = str(issue["expression"][0])
    not_shown = {link_id for item in so_far for link_id in _links(item)} - shown
    return any(path.endswith(f"(linkId='{link_id}')") for link_id in not_shown)


def _by_link(items: list[Resource]) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for item in items:
        found.setdefault(item["linkId"], []).append(item)
        for answer in ({"item": item.get("item", [])}, *item.get("answer", ())):
            for link_id, below in _by_link(answer.get("item", [])).items():
                found.setdefault(link_id, []).extend(below)
    return found


def advanced(
    request: NextQuestionRequest, step: Step, contained: Resource, filled: list[Resource], authored: str
) -> Resource:
    """The response as it goes back: all answers kept, the new items in the form in use, and what is known of them.

    What an earlier end of the form said of the coverage holds no longer (spec-45).
    """
    own = {**contained, "id": request.form["id"]}
    others = [each for each in request.response["contained"] if each is not request.form]
    items = [each for each in request.response.get("item") or () if isinstance(each, dict)]
    answered = {each.get("linkId") for each in items}
    items += [each for each in filled if each["linkId"] not in answered]
    order = [item["linkId"] for item in step.items]
    items.sort(key=lambda each: order.index(each["linkId"]) if each.get("linkId") in order else len(order))
    response = {
        **request.response,
        "contained": [own, *others],
        "status": "in-progress" if step.new else "completed",
        "authored": authored,
    }
    if items:
        response["item"] = items
    return with_coverage_information(response, [])


def with_coverage_information(response: Resource, said: list[Resource]) -> Resource:
    """The response with these repetitions of coverage-information, and no others."""
    stated = response.get("extension")
    kept = [e for e in stated if not (isinstance(e, dict) and e.get("url") == URL)] if isinstance(stated, list) else []
    others = {name: value for name, value in response.items() if name != "extension"}
    return others | ({"extension": [*kept, *said]} if kept or said else {})
