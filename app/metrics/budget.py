"""The time that CRD gives an answer (davinci-crd 2.2.1, "Performance", found-2)."""

from __future__ import annotations

TARGET_PERCENT = 90
"""Of the calls, at least so many percent are answered within their budget."""

BUDGETS_S = (5.0, 10.0)
"""The budgets there are, in seconds."""


def budget_s(hook: str) -> float:
    """Seconds for a call of a hook.

    order-sign and order-dispatch have ten when they come a day or more after the last hook for the same patient and
    organization. Whether one does is not judged here: they are always held to five.
    """
    return 10.0 if hook == "appointment-book" else 5.0
