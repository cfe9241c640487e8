"""Forms that came back filled in, and what clients report of forms that do not work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from app.encryption import Encryption
from app.errors import LedgerError
from app.ledger.events import form_event
from app.ledger.part import Part
from app.ledger.rows import Row, instant
from app.ledger.standing import Wanted
from app.ledger.store import Store
from app.ledger.tables import assertion, form_error, returned_form


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedForm:
    """A completed QuestionnaireResponse for the order of an assertion. `content` is sealed before it comes here.

    `questionnaire` is its form's `url|version`, `status` its own, `client` who sent it.
    """

    form_id: str
    assertion_id: str
    member_id: str | None
    order_ref: str
    questionnaire: str
    status: str
    received_at: datetime
    client: str
    content: bytes

    @property
    def form_url(self) -> str:
        """The canonical of its form, whatever the version."""
        return self.questionnaire.partition("|")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormError:
    """What a client could not do with a form. `issues` is JSON of coded parts: never free text, which may hold PHI."""

    error_id: str
    questionnaire: str
    received_at: datetime
    client: str
    issues: bytes


def returned_form_row(record: ReturnedForm) -> Row:
    """The `returned_form` row."""
    return {
        "form_id": record.form_id,
        "assertion_id": record.assertion_id,
        "member_id": record.member_id,
        "order_ref": record.order_ref,
        "questionnaire": record.questionnaire,
        "status": record.status,
        "received_at": instant(record.received_at),
        "client": record.client,
        "content": record.content,
    }


def stored_form(row: Mapping[str, Any]) -> ReturnedForm:
    """A `returned_form` row as a record, in UTC."""
    return ReturnedForm(**{**row, "received_at": datetime.fromisoformat(row["received_at"])})


def form_error_row(record: FormError) -> Row:
    """The `form_error` row."""
    return {
        "error_id": record.error_id,
        "questionnaire": record.questionnaire,
        "received_at": instant(record.received_at),
        "client": record.client,
        "issues": record.issues.decode(),
    }


def stored_form_error(row: Mapping[str, Any]) -> FormError:
    """A `form_error` row as a record, in UTC."""
    received_at = datetime.fromisoformat(row["received_at"])
    return FormError(**{**row, "received_at": received_at, "issues": row["issues"].encode()})


def forms_of_member(member_id: Wanted) -> Select[Any]:
    """What came back for a member, newest first."""
    of = select(returned_form).where(returned_form.c.member_id.in_(member_id))
    return of.order_by(returned_form.c.received_at.desc(), returned_form.c.form_id)


def forms_of_assertion(assertion_id: str) -> Select[Any]:
    """What came back for an assertion, newest first."""
    of = select(returned_form).where(returned_form.c.assertion_id == assertion_id)
    return of.order_by(returned_form.c.received_at.desc(), returned_form.c.form_id)


class Forms(Part):
    """Keeps forms that came back, and what clients report of forms."""

    def __init__(self, store: Store, encryption: Encryption | None) -> None:
        super().__init__(store, encryption)
        self._forms_of_member = store.query_sql(forms_of_member(self._any("member_id")))

    def record_returned_form(
        self,
        record: ReturnedForm,
        find_it: Callable[[Sequence[ReturnedForm]], ReturnedForm | None] = lambda kept: None,
    ) -> str:
        """Write a form that came back with its event in one transaction, or nothing. Its assertion must be there.

        Nothing is written when `find_it` finds it among those that came back for the assertion before, of that form in
        any version, newest first: it was sent again. The id of the one that is kept.
        """
        row = returned_form_row(record)
        made_in = select(assertion.c.invocation_id).where(assertion.c.assertion_id == record.assertion_id)
        before = forms_of_assertion(record.assertion_id)

        def keep(connection: Connection) -> str:
            invocation_id = connection.execute(made_in).scalar()
            if invocation_id is None:
                raise LedgerError("the form was not recorded: its assertion is not in the ledger")
            kept = [stored_form(self._texts.opened(found._asdict())) for found in connection.execute(before)]
            known = find_it([each for each in kept if each.form_url == record.form_url])
            if known is not None:
                return known.form_id
            self._append(
                connection.connection.cursor(), {"returned_form": [row], "event": [form_event(row, invocation_id)]}
            )
            return record.form_id

        return self._store.write("the form was not recorded", keep)

    def forms_of_member(self, member_id: str) -> list[ReturnedForm]:
        """Every form that came back for a member, newest first."""
        return self._find_fast(self._forms_of_member, self._wanted(member_id=member_id), stored_form)

    def forms_returned_for(self, assertion_id: str) -> list[ReturnedForm]:
        """Every form that came back for an assertion, newest first."""
        return self._find(forms_of_assertion(assertion_id), stored_form)

    def record_form_errors(self, records: Sequence[FormError]) -> None:
        """Keep what a client could not do with forms, all or nothing. It is about no answer, so it is not chained."""
        rows = [form_error_row(record) for record in records]

        def keep(connection: Connection) -> None:
            for row in rows:
                connection.exec_driver_sql(self._insert["form_error"], row)

        self._store.write("the errors were not recorded", keep)

    def form_errors(self) -> list[FormError]:
        """What clients reported of forms, newest first."""
        return self._find(select(form_error).order_by(form_error.c.received_at.desc()), stored_form_error)
