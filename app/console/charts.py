"""Pictures of numbers as SVG, made here: nothing to download, nothing for a browser to run, and the same on paper.

Each comes with its figures, which the page shows as a table: that is what a screen reader reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

_WIDTH = 640
_LEFT, _RIGHT = 44, 8


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and its figures. Cells of `rows` are texts or numbers; the first of each names the row."""

    title: str
    svg: Markup
    head: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


def columns(title: str, head: tuple[str, str], values: Sequence[tuple[str, float]], *, look: str = "accent") -> Chart:
    """One column a value, such as a day."""
    height, base = 200, 172
    top = _round_up(max((value for _, value in values), default=0))
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(values))
    parts = list(_scale(top, base, 16))
    for position, (name, value) in enumerate(values):
        x, tall = _LEFT + position * step, (base - 16) * value / top
        parts.append(
            f'<rect class="c-{look}" x="{x + step * 0.12:.1f}" y="{base - tall:.1f}" width="{step * 0.76:.1f}" '
            f'height="{tall:.1f}" rx="2"><title>{escape(name)}: {_number(value)}</title></rect>'
        )
    parts += _names_below([name for name, _ in values], step, base)
    return Chart(title, _svg(title, height, parts), head, tuple((name, _number(value)) for name, value in values))


def line(
    title: str, head: tuple[str, str], values: Sequence[tuple[str, float | None]], *, mark: float | None, top: float
) -> Chart:
    """A line over days; None leaves a gap. `mark` is a target."""
    height, base = 200, 172
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(values))

    def y(value: float) -> float:
        return base - (base - 16) * value / top

    parts = list(_scale(top, base, 16))
    if mark is not None:
        parts.append(f'<line class="mark" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>')
        parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{y(mark) + 14:.1f}" text-anchor="end">target {mark:g}</text>')
    points = [(_LEFT + (n + 0.5) * step, value, name) for n, (name, value) in enumerate(values)]
    run: list[str] = []
    for x, value, _ in [*points, (0.0, None, "")]:
        if value is not None:
            run.append(f"{x:.1f},{y(value):.1f}")
        elif run:
            parts.append(f'<polyline class="line" points="{" ".join(run)}"/>')
            run = []
    parts += [
        f'<circle class="c-accent" cx="{x:.1f}" cy="{y(value):.1f}" r="3"><title>{escape(name)}: {_number(value)}'
        "</title></circle>"
        for x, value, name in points
        if value is not None
    ]
    parts += _names_below([name for name, _ in values], step, base)
    rows = tuple((name, "-" if value is None else _number(value)) for name, value in values)
    return Chart(title, _svg(title, height, parts), head, rows)


def bars(
    title: str, head: tuple[str, ...], values: Sequence[tuple[str, float, str]], *, unit: str = "", more: Rows = ()
) -> Chart:
    """One bar a value: name, value, and the look of its bar. `more` are further cells of each row of the table."""
    row, name_width = 26, 230
    top = max((value for _, value, _ in values), default=0) or 1
    room = _WIDTH - name_width - 80
    parts = []
    for position, (name, value, look) in enumerate(values):
        y, wide = position * row + 4, room * value / top
        shown = name if len(name) < 35 else f"{name[:33]}…"
        parts.append(f'<text x="{name_width - 8}" y="{y + 14}" text-anchor="end">{escape(shown)}</text>')
        parts.append(
            f'<rect class="c-{look}" x="{name_width}" y="{y}" width="{max(wide, 1):.1f}" height="{row - 8}" rx="2"/>'
        )
        label = f"{_number(value)}{unit}"
        parts.append(f'<text class="strong" x="{name_width + wide + 6:.1f}" y="{y + 14}">{label}</text>')
    cells = [*more, *[()] * (len(values) - len(more))]
    rows = tuple((name, _number(value), *cells[n]) for n, (name, value, _) in enumerate(values))
    return Chart(title, _svg(title, max(1, len(values)) * row + 8, parts), head, rows)


Rows = Sequence[tuple[object, ...]]


def flows(title: str, head: tuple[str, str, str], moves: Sequence[tuple[str, str, int]]) -> Chart:
    """What moves from where to where, each band as thick as its number."""
    before, after = _totals(moves, 0), _totals(moves, 1)
    gap, scale = 18, 150 / max(1, sum(count for *_, count in moves))

    def placed(totals: dict[str, int]) -> dict[str, float]:
        y, found = 8.0, {}
        for name, count in totals.items():
            found[name] = y
            y += max(count * scale, 14) + gap
        return found

    left, right = placed(before), placed(after)
    height = int(max(len(before), len(after)) * (gap + 14) + 150)
    parts = []
    used_left, used_right = dict(left), dict(right)
    for source, target, count in moves:
        thick = max(count * scale, 3)
        y1, y2 = used_left[source] + thick / 2, used_right[target] + thick / 2
        used_left[source] += thick
        used_right[target] += thick
        parts.append(
            f'<path class="c-{_look(target)} band-flow" d="M190 {y1 - thick / 2:.1f} C320 {y1 - thick / 2:.1f} 320 '
            f"{y2 - thick / 2:.1f} 450 {y2 - thick / 2:.1f} L450 {y2 + thick / 2:.1f} C320 {y2 + thick / 2:.1f} 320 "
            f'{y1 + thick / 2:.1f} 190 {y1 + thick / 2:.1f} Z"><title>{escape(source)} to {escape(target)}: {count}'
            "</title></path>"
        )
        parts.append(f'<text class="strong" x="320" y="{(y1 + y2) / 2 + 4:.1f}" text-anchor="middle">{count:,}</text>')
    for totals, places, x, anchor, text in ((before, left, 180, "end", 172), (after, right, 450, "start", 468)):
        for name, count in totals.items():
            tall = max(count * scale, 3)
            parts.append(
                f'<rect class="c-{_look(name)}" x="{x}" y="{places[name]:.1f}" width="10" height="{tall:.1f}" rx="2"/>'
            )
            parts.append(
                f'<text class="strong" x="{text}" y="{places[name] + 12:.1f}" text-anchor="{anchor}">'
                f"{escape(name)} ({count:,})</text>"
            )
    return Chart(title, _svg(title, height, parts), head, tuple(moves))


def _totals(moves: Iterable[tuple[str, str, int]], end: int) -> dict[str, int]:
    totals: dict[str, int] = {}
    for move in moves:
        totals[str(move[end])] = totals.get(str(move[end]), 0) + move[2]
    return totals


def _look(word: str) -> str:
    """The colour of a benefit or of an authorization."""
    looks = {
        "auth-needed": "bad", "no-auth": "good", "satisfied": "good", "conditional": "open", "neither": "none",
        "needed": "bad", "not needed": "good", "depends": "open",
    }  # fmt: skip
    known = ("medical", "pharmacy", "medical-bundled", "undetermined", "none")
    return word if word in known else looks.get(word, "plain")


def _scale(top: float, base: int, ceiling: int) -> Iterable[str]:
    for share in (0.0, 0.5, 1.0):
        y = base - (base - ceiling) * share
        yield f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(top * share)}</text>'


def _names_below(names: Sequence[str], step: float, base: int) -> list[str]:
    """As many names as have room, the last one among them."""
    every = max(1, -(-len(names) // 7))
    return [
        f'<text x="{_LEFT + (position + 0.5) * step:.1f}" y="{base + 18}" text-anchor="middle">'
        f"{escape(name[-5:])}</text>"
        for position, name in enumerate(names)
        if (len(names) - 1 - position) % every == 0
    ]


def _round_up(value: float) -> float:
    """A round number at or above."""
    if value <= 0:
        return 1
    size = 10.0 ** (len(str(int(value))) - 1)
    return next(step * size for step in (1, 2, 4, 5, 10) if step * size >= value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _svg(title: str, height: int, parts: Iterable[str]) -> Markup:
    """`parts` are escaped already, so the whole is markup."""
    picture = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    return Markup(picture)  # noqa: S704  # see above
