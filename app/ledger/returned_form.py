"""Forms that came back filled in, and what clients report of forms that do not work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from app.ledger.rows import Row, instant
from app.ledger.tables import returned_form


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


def forms_of_member(member_id: str) -> Select[Any]:
    """What came back for a member, newest first."""
    of = select(returned_form).where(returned_form.c.member_id == member_id)
    return of.order_by(returned_form.c.received_at.desc(), returned_form.c.form_id)


def forms_of_assertion(assertion_id: str) -> Select[Any]:
    """What came back for an assertion, newest first."""
    of = select(returned_form).where(returned_form.c.assertion_id == assertion_id)
    return of.order_by(returned_form.c.received_at.desc(), returned_form.c.form_id)
