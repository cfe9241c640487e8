"""What users did with the cards they were shown, added up by guidance."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from app.ledger.events import feedback_event
from app.ledger.part import Part
from app.ledger.records import FeedbackLine, FeedbackRecord, StoredFeedback
from app.ledger.rows import feedback_row, instant, stored_feedback
from app.ledger.tables import card, feedback


def feedback_report(connection: Connection, since: datetime | None) -> list[FeedbackLine]:
    """One line a guidance, the most shown first, and at the end one for cards nobody knows, if any.

    `since` counts the cards shown from then on, and of unknown cards the feedback received from then on.
    """
    shown = select(card.c.guidance, func.count().label("times")).group_by(card.c.guidance)
    # A card once overridden can still be accepted: only the last that is said of it counts.
    order = (feedback.c.outcome_at.desc(), feedback.c.received_at.desc(), feedback.c.feedback_id)
    nth = func.row_number().over(partition_by=feedback.c.card_id, order_by=order).label("nth")
    said = select(feedback, nth).subquery("said")
    reason = (said.c.override_reason_system, said.c.override_reason_code)
    words = func.coalesce(func.max(said.c.override_reason_display), said.c.override_reason_code)
    answers = (
        select(card.c.guidance, said.c.outcome, words, func.count())
        .select_from(said.outerjoin(card, card.c.card_id == said.c.card_id))
        .where(said.c.nth == 1)
        .group_by(card.c.guidance, said.c.outcome, *reason)
    )
    if since is not None:
        shown = shown.where(card.c.received_at >= instant(since))
        answers = answers.where(func.coalesce(card.c.received_at, said.c.received_at) >= instant(since))

    times: dict[str | None, int] = {row.guidance: row.times for row in connection.execute(shown)}
    outcomes: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    reasons: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    for guidance, outcome, why, count in connection.execute(answers):
        outcomes[guidance][outcome] += count
        if outcome == "overridden" and why is not None:
            reasons[guidance][why] += count
    lines = [
        FeedbackLine(
            guidance=guidance,
            shown=times.get(guidance, 0),
            accepted=outcomes[guidance]["accepted"],
            overridden=outcomes[guidance]["overridden"],
            ignored=0 if guidance is None else times[guidance] - outcomes[guidance].total(),
            reasons=tuple(sorted(reasons[guidance].items(), key=lambda each: (-each[1], each[0]))),
        )
        for guidance in times.keys() | outcomes.keys()
    ]
    return sorted(lines, key=lambda line: (line.guidance is None, -line.shown, line.guidance or ""))


class Feedback(Part):
    """Keeps what was said of cards."""

    def record_feedback(self, batch: Sequence[FeedbackRecord]) -> int:
        """Write a batch of feedback and its events in one transaction, or nothing; how many cards in it are known."""
        query = select(card.c.card_id, card.c.invocation_id)
        named = query.where(card.c.card_id.in_({record.card_id for record in batch}))

        def keep(connection: Connection) -> int:
            shown_in = {row.card_id: row.invocation_id for row in connection.execute(named)}
            said = [feedback_row(record, known=record.card_id in shown_in) for record in batch]
            events = [feedback_event(row, shown_in.get(row["card_id"])) for row in said]
            self._append(connection.connection.cursor(), {"feedback": said, "event": events})
            return sum(row["known"] for row in said)

        return self._store.write("the feedback was not recorded", keep)

    def feedback_on(self, card_id: str) -> list[StoredFeedback]:
        """All that was said of a card, in the order users said it; cards that are none of ours included."""
        on = select(feedback).where(feedback.c.card_id == card_id)
        return self._find(on.order_by(feedback.c.outcome_at, feedback.c.received_at), stored_feedback)

    def feedback_report(self, since: datetime | None) -> list[FeedbackLine]:
        """What users did with the cards shown since then (aware), or ever: one line a guidance, most shown first."""
        doing = "the feedback could not be added up"
        return self._store.read_snapshot(doing, lambda connection: feedback_report(connection, since))
