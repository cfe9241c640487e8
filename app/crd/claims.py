"""Claims as they were paid, beside the road the router would have named.

CMS asks whether "the system through which claims are processed" tells a drug on the medical benefit from one on the
pharmacy benefit: 837 from NCPDP D.0. This answers it for one payer's claims. Claims are shared among processes; what
comes out is the same whatever their number.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from app.crd.claim_router import ClaimRouter, Routed, WrongRow, cells_of, positions
from app.rulebook.rulebook import Rulebook, build

_CARRIES = {"medical": "837", "medical-bundled": "837", "pharmacy": "ncpdp"}
_SHOWN = 20  # wrong rows told one by one
_SHARE = 10_000  # lines that a process works on before it reports
_FEW = 50_000  # lines for which starting processes costs more than it saves


@dataclass(frozen=True, slots=True)
class Confusion:
    """How the router's track and the system that paid compare. `drug` None: of a whole line.

    `counts` are paid system, track and claims. Of those `compared`, where the router names a road, `agree` have it
    carried by the system that paid; `presumptive` of them rest on a presumption. `rules` behind the disagreement come
    with their claims, most first.
    """

    drug: str | None
    line: str
    counts: tuple[tuple[str, str, int], ...]
    claims: int
    compared: int
    agree: int
    presumptive: int
    rules: tuple[tuple[str, int], ...] = ()

    @property
    def disagree(self) -> int:
        """Claims paid by the other system than the router's."""
        return self.compared - self.agree

    @property
    def undetermined(self) -> int:
        """Claims whose road the router leaves open."""
        return self.claims - self.compared


@dataclass(frozen=True, slots=True)
class Simulation:
    """The outcome. `drugs` come with the most disagreement first.

    `wrong` counts rows that could not be read by reason; `wrong_places` are the first of them.
    """

    rulebook: str
    claims: int
    lines: tuple[Confusion, ...]
    drugs: tuple[Confusion, ...]
    wrong_rows: int
    wrong: tuple[tuple[str, int], ...]
    wrong_places: tuple[str, ...]

    @property
    def total(self) -> tuple[int, int, int]:
        """Claims compared, those that agree, and those left open."""
        return (
            sum(each.compared for each in self.lines),
            sum(each.agree for each in self.lines),
            sum(each.undetermined for each in self.lines),
        )


@dataclass(slots=True)
class _Tally:
    """What some claims came to; `faults` are each wrong row's reason, and its place and fault in words, in order."""

    rows: int = 0
    counts: Counter[tuple[str, str, str, Routed]] = field(default_factory=Counter)
    faults: list[tuple[str, str]] = field(default_factory=list)


_Share = tuple[int, Sequence[str]]  # the number of the first line, and the lines


def simulate(
    lines: Iterable[str],
    rulebook: Rulebook,
    *,
    file: str,
    processes: int = 1,
    progress: Callable[[int], None] = lambda rows: None,
    wrong_row: Callable[[str], None] = lambda words: None,
) -> Simulation:
    """Route every claim of a CSV and compare. `progress` is told the rows done, `wrong_row` each row left out.

    Reads a few thousand lines at a time and keeps only counts. WrongRow when the header lacks a column.
    """
    numbered = iter(lines)
    header = next(numbered, "")
    router = ClaimRouter(rulebook, positions(header, file))
    first = list(islice(numbered, _FEW)) if processes > 1 else []
    alone = processes <= 1 or len(first) < _FEW
    shares = _shares(first, numbered)
    tallies = (
        (_compare(router, share, file) for share in shares)
        if alone
        else _in_processes(rulebook.files, header, file, shares, processes)
    )
    counts: Counter[tuple[str, str, str, Routed]] = Counter()
    wrong: Counter[str] = Counter()
    places: list[str] = []
    rows = 0
    for tally in tallies:
        rows += tally.rows
        counts.update(tally.counts)
        for reason, place in tally.faults:
            wrong[reason] += 1
            wrong_row(place)
            if len(places) < _SHOWN:
                places.append(place)
        progress(rows)
    return Simulation(
        rulebook=rulebook.label,
        claims=rows - wrong.total(),
        lines=tuple(_confusions(counts, by_drug=False)),
        drugs=tuple(
            sorted(_confusions(counts, by_drug=True), key=lambda c: (-c.disagree, -c.claims, c.drug or "", c.line))
        ),
        wrong_rows=wrong.total(),
        wrong=tuple(wrong.most_common()),
        wrong_places=tuple(places),
    )


def _shares(first: Sequence[str], rest: Iterator[str]) -> Iterator[_Share]:
    """The lines in shares, those read already before the rest. Line 1 is the header."""
    number = 2
    for start in range(0, len(first), _SHARE):
        share = first[start : start + _SHARE]
        yield number, share
        number += len(share)
    while share := list(islice(rest, _SHARE)):
        yield number, share
        number += len(share)


def _in_processes(
    files: Mapping[str, str], header: str, file: str, shares: Iterator[_Share], processes: int
) -> Iterator[_Tally]:
    """Tallies in the order of the file, on which the order of equals in the report rests. No more is read than is
    worked on. Processes are started afresh, as for what-if.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start, (dict(files), header, file)) as pool:
        under_way: deque[Future[_Tally]] = deque()
        for share in shares:
            under_way.append(pool.submit(_compare_here, share))
            if len(under_way) > 2 * processes:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


_here: tuple[ClaimRouter, str]


def _start(files: Mapping[str, str], header: str, file: str) -> None:
    """In a new process: load the rulebook once."""
    global _here  # noqa: PLW0603  # one for a process, whose shares use it
    rulebook = build(files).rulebook
    if rulebook is None:
        raise RuntimeError("The rulebook that was loaded does not load again.")
    _here = ClaimRouter(rulebook, positions(header, file)), file


def _compare_here(share: _Share) -> _Tally:
    router, file = _here
    return _compare(router, share, file)


def _compare(router: ClaimRouter, share: _Share, file: str) -> _Tally:
    """Route the claims of a share."""
    tally = _Tally()
    start, lines = share
    for number, raw in enumerate(lines, start):
        if not raw.strip() or raw.startswith("#"):
            continue
        tally.rows += 1
        try:
            tally.counts[router.compare(cells_of(raw))] += 1
        except WrongRow as error:
            tally.faults.append((str(error), f"{file}:{number}: {error}{error.detail}"))
    return tally


def _confusions(counts: Counter[tuple[str, str, str, Routed]], *, by_drug: bool) -> Iterator[Confusion]:
    groups: dict[tuple[str, str | None], list[tuple[str, Routed, int]]] = {}
    for (line, paid, drug, routed), number in counts.items():
        groups.setdefault((line, drug if by_drug else None), []).append((paid, routed, number))
    for (line, named), found in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        cells: Counter[tuple[str, str]] = Counter()
        rules: Counter[str] = Counter()
        for paid, routed, number in found:
            cells[paid, routed.track] += number
            if routed.track != "undetermined" and _CARRIES.get(routed.track) != paid:
                rules[routed.rule] += number
        determined = sum(number for (_, track), number in cells.items() if track != "undetermined")
        yield Confusion(
            drug=named,
            line=line,
            counts=tuple((paid, track, number) for (paid, track), number in sorted(cells.items())),
            claims=cells.total(),
            compared=determined,
            agree=determined - rules.total(),
            presumptive=sum(n for _, routed, n in found if routed.presumptive and routed.track != "undetermined"),
            rules=tuple(rules.most_common(3)),
        )
