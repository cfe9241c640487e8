"""The payer's side of DTR, from the body of a call to the resource that answers it.

Source: davinci-dtr 2.0.1 and 2.2, CapabilityStatement dtr-payer-service. `app.web` gives each call its version, its
base URL and its client.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from app.clients import Client
from app.crd.basis import Options
from app.crd.reconsideration import Reconsideration, Reconsidered
from app.crd.returned_forms import Kept, ReturnedForms
from app.crd.snapshot import Snapshot, unseal
from app.dtr.answer_space import codings_in
from app.dtr.asked import Asked, Wanted, find_asked, form_of
from app.dtr.draft import Version
from app.dtr.expand_request import ExpandRequest
from app.dtr.form_errors import parse_form_errors
from app.dtr.next_question import advanced, next_step, parse_next_question, with_coverage_information
from app.dtr.package import assertion_of, filled_form, package, prefill_data
from app.dtr.package_request import PackageRequest, parse_package_request
from app.dtr.promised import Promised, Promises
from app.dtr.publish import Publisher, is_adaptive
from app.dtr.returned import Completed, complete, context_of, read_response
from app.dtr.value_sets import ExpandElsewhere, expand
from app.dtr.wire import WIRE
from app.encryption import Encryption
from app.errors import NotFound, UnprocessableRequest
from app.fhir import outcomes, references
from app.fhir.json import encode
from app.ledger import FormError, Ledger
from app.members import MemberDirectory
from app.rulebook.forms import Artifacts, canonical_of, id_of
from app.rulebook.keeper import RulebookKeeper
from app.rulebook.rulebook import Rulebook
from app.settings import Settings

log = structlog.get_logger("signpost.dtr")

Resource = dict[str, Any]


class DtrService:
    """One for a process; a call keeps nothing on it. Of what calls bring, only completed forms are stored (sec-9)."""

    def __init__(
        self,
        settings: Settings,
        keeper: RulebookKeeper,
        directory: Callable[[Rulebook], MemberDirectory],
        ledger: Ledger,
        encryption: Encryption,
        *,
        elsewhere: ExpandElsewhere | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._directory = directory
        self._ledger = ledger
        self._encryption = encryption
        self._elsewhere = elsewhere or (lambda parameters: None)
        self._clock = clock
        self._returned = ReturnedForms(ledger, encryption)
        self._promises = Promises(ledger, lambda: keeper.current)
        self._reconsideration = Reconsideration(Options.of(settings), keeper, directory, ledger, self._returned)

    def package(self, body: bytes, version: Version, base: str, client: Client | None) -> Resource:
        """$questionnaire-package. RequestError when there is nothing to answer."""
        request = parse_package_request(body, version)
        rulebook, now = self._keeper.current, self._clock()
        promised = None
        if request.context is not None:
            promised = self._promises.find(request.context, client, element="context")
        asked = find_asked(request, promised, rulebook=rulebook, directory=self._directory(rulebook), today=now.date())
        answer = self._packages(request, asked, self._snapshot(promised, now), version, base, now)
        log.info(
            "dtr.package",
            client=client.iss if client is not None else "sandbox",
            version=version,
            forms=[wanted.canonical for wanted in asked.wanted],
            context=promised.first.assertion_id if promised is not None else None,
        )
        return answer

    def _packages(
        self,
        request: PackageRequest,
        asked: Asked,
        snapshot: Snapshot | None,
        version: Version,
        base: str,
        now: datetime,
    ) -> Resource:
        wire = WIRE[version]
        parameters: list[Resource] = []
        issues = list(asked.issues)
        for wanted in asked.wanted:
            publisher = self._publisher(wanted.rulebook, version, base, now)
            made = package(wanted, asked, snapshot, publisher, version=version, now=now)
            if request.changed_since is not None and not _changed(made.bundle, request.changed_since):
                words = f"{wanted.canonical} has not changed since."
                issues.append(outcomes.issue("information", "informational", words))
                continue
            parameters.append({"name": wire.package, "resource": made.bundle})
            several = len(asked.wanted) > 1
            issues += [_about(issue, wanted.canonical) if several else issue for issue in made.issues]
        if not parameters and version == "2.0":
            # 2.0's output has no shape for an answer without a form (PackageBundle is 1..*).
            words = " ".join(issue["diagnostics"] for issue in issues) or "No form is asked for."
            raise NotFound(words, code="not-found")
        if not parameters and not issues:
            issues.append(outcomes.issue("information", "informational", "No form is asked for."))
        if issues:
            outcome = outcomes.operation_outcome(*issues)
            parameters.append({"name": wire.outcome, "resource": outcome})
        return {"resourceType": "Parameters", "parameter": parameters}

    def _snapshot(self, promised: Promised | None, now: datetime) -> Snapshot | None:
        """What was kept of the record for the forms of an assertion."""
        if promised is None:
            return None
        for each in promised.every:
            record = self._ledger.snapshot(each.assertion.assertion_id, now)
            if record is not None:
                return unseal(record, each.assertion, self._encryption)
        return None

    def next_question(self, body: bytes, version: Version, base: str, client: Client | None) -> Resource:
        """$next-question: the response with the next items in the form it contains, or completed. RequestError.

        A form that an answer asked for is kept when it is complete, and brings the answer that takes it into account;
        LedgerError when these are not kept.
        """
        request = parse_next_question(body)
        now = self._clock()
        promised = self._promised_of(request.response, client)
        found = self._adaptive(request.derived_from, promised)
        if found is None:
            raise NotFound("The contained form is derived from no adaptive form of this payer.", code="not-found")
        slug, rulebook = found
        form = dict(rulebook.forms[slug])
        step = next_step(form, request, codings_in(rulebook.value_sets), version)
        publisher = self._publisher(rulebook, version, base, now)
        filled: list[Resource] = []
        if promised is not None and step.new:
            asked = Asked(None, None, promised.patient)
            wanted = Wanted(slug, rulebook, (), promised.purposes, promised)
            data = prefill_data(wanted, asked, self._snapshot(promised, now), now)
            known = filled_form({**form, "item": list(step.new)}, slug, rulebook, data, version)
            filled = [item for item in known.response.get("item", []) if item.keys() & {"item", "answer"}]
        contained = publisher.contained(form, list(step.items))
        log.info(
            "dtr.next_question",
            client=client.iss if client is not None else "sandbox",
            version=version,
            form=canonical_of(form),
            items=len(step.new),
        )
        response = advanced(request, step, contained, filled, now.isoformat())
        if step.new or promised is None or all(slug not in each.forms for each in promised.every):
            return response
        done = complete(response, promised, version, self._keeper.current)
        # Dated here at every call, so the client's word is what it was dated before.
        self._keep(response, done, promised, client, now, sent_as_of=str(request.response.get("authored", "")))
        answer = self._answer_again(promised, client, now)
        return with_coverage_information(response, answer.extensions(version) if answer is not None else [])

    def _answer_again(self, promised: Promised, client: Client | None, now: datetime) -> Reconsidered | None:
        """What the order of an answer is answered now; None where the newest answer to it is not the client's."""
        newest = self._ledger.latest_for_order(
            promised.assertion.member_id or "", promised.assertion.order_ref, promised.assertion.coverage_ref
        )
        try:
            if newest is not None:
                promised = self._promises.find(newest.assertion_id, client)
        except UnprocessableRequest:
            return None
        return self._reconsideration.of(promised.assertion, now)

    def take(self, body: bytes, context: str | None, version: Version, client: Client | None) -> tuple[str, Resource]:
        """A completed form comes back: its id here, and what is told. RequestError; LedgerError when it is not kept."""
        response = read_response(body)
        now, current = self._clock(), self._keeper.current
        promised = self._promises.find(context_of(response, context), client, element="context")
        done = complete(response, promised, version, current)
        kept = self._keep(response, done, promised, client, now)
        self._forget(promised)
        words = "The form is kept for the order; sign the order again for an answer that takes it into account."
        if kept.replaced:
            words = "This was sent before, and a later response has taken its place. To go back to it, author it anew."
        return kept.form_id, outcomes.operation_outcome(outcomes.issue("information", "informational", words))

    def _keep(
        self,
        response: Resource,
        done: Completed,
        promised: Promised,
        client: Client | None,
        now: datetime,
        *,
        sent_as_of: str | None = None,
    ) -> Kept:
        """Keep a completed form with the case, once if it is sent again."""
        teller = client.iss if client is not None else "sandbox"
        kept = self._returned.keep(
            response,
            done.items,
            form_id=str(uuid.uuid4()),
            questionnaire=done.canonical,
            assertion=promised.first,
            client=teller,
            received_at=now,
            sent_as_of=sent_as_of,
        )
        log.info(
            "dtr.returned",
            client=teller,
            form=done.canonical,
            context=promised.first.assertion_id,
            again=kept.again,
        )
        return kept

    def _forget(self, promised: Promised) -> None:
        """Once every form is back, what was kept of the record for them has served its purpose (sec-10)."""
        of_this = {each.questionnaire for each in self._ledger.forms_returned_for(promised.first.assertion_id)}
        if of_this >= {promised.rulebook.questionnaires[form] for form in promised.forms}:
            for each in promised.every:
                self._ledger.delete_snapshot(each.assertion.assertion_id)

    def log_errors(self, body: bytes, client: Client | None) -> None:
        """$log-questionnaire-errors. RequestError; LedgerError when it is not kept."""
        told = parse_form_errors(body)
        teller = client.iss if client is not None else "sandbox"
        records = [
            FormError(
                error_id=str(uuid.uuid4()),
                questionnaire=canonical,
                received_at=self._clock(),
                client=teller,
                issues=encode(told.issues),
            )
            for canonical in told.questionnaires
        ]
        self._ledger.record_form_errors(records)
        log.warning("dtr.form_errors", client=teller, forms=told.questionnaires, issues=len(told.issues))

    def _promised_of(self, response: Resource, client: Client | None) -> Promised | None:
        """The answer that a response says it belongs to, when it is about the same patient; else none."""
        assertion_id = assertion_of(response)
        try:
            found = self._promises.find(assertion_id, client) if assertion_id is not None else None
        except UnprocessableRequest:
            return None
        same = found is not None and references.local_key(response.get("subject")) == found.patient
        return found if same else None

    def _adaptive(self, canonical: str, promised: Promised | None) -> tuple[str, Rulebook] | None:
        """An adaptive form, from the rules that are live or those that the answer was given by."""
        told = promised.every if promised is not None else ()
        for rulebook in (self._keeper.current, *(each.rulebook for each in told)):
            slug = form_of(canonical, rulebook)
            if slug is not None and is_adaptive(rulebook.forms[slug]):
                return slug, rulebook
        return None

    def expand(self, asked: ExpandRequest) -> Resource:
        """ValueSet/$expand. NotFound for a value set that nobody here has."""
        now = self._clock()
        return expand(
            asked.url,
            self._keeper.current.value_sets,
            now,
            words=asked.words,
            offset=asked.offset,
            count=asked.count,
            elsewhere=self._elsewhere,
        )

    def read(self, kind: str, identity: str, version: Version, base: str) -> Resource:
        """A Questionnaire, Library or ValueSet by its id. NotFound."""
        for resource in self._on_file(kind):
            if id_of(resource) == identity:
                return self._published(kind, resource, version, base)
        raise NotFound(f"There is no {kind} of this id.", code="not-found")

    def search(self, kind: str, wanted: Mapping[str, str], version: Version, base: str) -> Resource:
        """A searchset. `wanted`: `url` (perhaps with `|version`), `version`, `name`, `title`, `status`, `_id`."""
        found = [
            self._published(kind, resource, version, base)
            for resource in self._on_file(kind)
            if all(_matches(resource, name, value) for name, value in wanted.items())
        ]
        return {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(found),
            "entry": [
                {"fullUrl": f"{base}/{kind}/{each['id']}", "resource": each, "search": {"mode": "match"}}
                for each in found
            ],
        }

    def _on_file(self, kind: str) -> Artifacts | list[Mapping[str, Any]]:
        rulebook = self._keeper.current
        if kind == "Questionnaire":
            return list(rulebook.forms.values())
        return rulebook.libraries if kind == "Library" else rulebook.value_sets

    def _published(self, kind: str, resource: Mapping[str, Any], version: Version, base: str) -> Resource:
        publisher = self._publisher(self._keeper.current, version, base, self._clock())
        if kind == "Questionnaire":
            return publisher.questionnaire(resource)
        return publisher.library(resource) if kind == "Library" else publisher.value_set(resource)

    def _publisher(self, rulebook: Rulebook, version: Version, base: str, now: datetime) -> Publisher:
        bare = self._settings.dtr_unversioned_libraries
        return Publisher(rulebook, version, base, now, unversioned_libraries=bare)


def _matches(resource: Mapping[str, Any], name: str, value: str) -> bool:
    """FHIR search: uri and token as they are, `name` and `title` by how they begin, in any case."""
    if name == "_id":
        return id_of(resource) == value
    if name == "url":
        url, _, edition = value.partition("|")
        return resource["url"] == url and (not edition or resource["version"] == edition)
    if name in ("name", "title"):
        return str(resource.get(name, "")).lower().startswith(value.lower())
    return bool(resource.get(name) == value)


def _changed(bundle: Resource, since: datetime) -> bool:
    """Whether something of a package has a date on or after that day. What has no date counts as changed."""
    for entry in bundle["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] != "QuestionnaireResponse":
            day = resource.get("date")
            if not isinstance(day, str) or day[:10] >= since.astimezone(UTC).date().isoformat()[: len(day[:10])]:
                return True
    return False


def _about(issue: Resource, canonical: str) -> Resource:
    return {**issue, "diagnostics": f"{canonical}: {issue['diagnostics']}"}
