"""Settings from flags and the environment, and kinds of values, with mistakes explained."""

from __future__ import annotations

import difflib
import os
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import click
from pydantic import ValidationError

from app.errors import SettingsError
from app.settings import SECRETS_DIR, Settings


def settings_from(**flags: Any) -> Settings:
    """Settings; a flag that was not given leaves the environment or the default."""
    known = {f"SIGNPOST_{name.upper()}" for name in Settings.model_fields}
    for variable in sorted(os.environ):
        if variable.startswith("SIGNPOST_") and variable not in known | {SECRETS_DIR, "SIGNPOST_IG_DIR"}:
            near = difflib.get_close_matches(variable, known, n=1)
            raise SettingsError(f"{variable} is not a setting." + (f" Did you mean {near[0]}?" if near else ""))
    folder = os.environ.get(SECRETS_DIR)
    if folder is not None and not os.path.isdir(folder):
        raise SettingsError(f"{SECRETS_DIR} names {folder}, which is no folder.")
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        raise SettingsError(f"Setting {name} (SIGNPOST_{name.upper()}): {first['msg']}.") from None


class Since(click.ParamType[datetime]):
    """So many days before now (`30d`), or the start of a day in UTC (`2026-11-01`)."""

    name = "days or date"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            if days := re.fullmatch(r"(\d{1,5})d", value, re.ASCII):
                return datetime.now(UTC) - timedelta(days=int(days[1]))
            return datetime.combine(date.fromisoformat(value), time(), UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a number of days, such as 30d, nor a date, such as 2026-11-01.")
