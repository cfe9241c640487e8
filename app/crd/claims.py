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
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice

from app.crd.claim_router import ClaimRouter, Routed, WrongRow, cells_of, positions
from app.rulebook.rulebook import Rulebook, build

_CARRIES = {"medical": "837", "medical-bundled": "837", "pharmacy": "ncpdp"}
_SHOWN = 20  # wrong rows told one by one
_SHARE = 20_000  # lines that are worked on together
_AHEAD = 2  # such shares that wait for the processes
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


_Numbered = Sequence[tuple[int, str]]  # lines with their numbers


@dataclass(slots=True)
class _Tally:
    """What some claims came to; `faults` are each wrong row's number, reason, and place and fault in words."""

    rows: int = 0
    counts: Counter[tuple[str, str, str, Routed]] = field(default_factory=Counter)
    faults: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: _Tally) -> None:
        """Take in another's."""
        self.rows += other.rows
        self.counts.update(other.counts)
        self.faults = sorted((*self.faults, *other.faults))


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
    numbered = enumerate(lines, start=1)
    header = next(numbered, (1, ""))[1]
    router = ClaimRouter(rulebook, positions(header, file))
    first = list(islice(numbered, _FEW)) if processes > 1 else []
    shares = _shares(chain(first, numbered))
    if processes <= 1 or len(first) < _FEW:
        tallies: Iterator[_Tally] = (_compare(router, share, file) for share in shares)
    else:
        tallies = _in_processes(rulebook.files, header, file, shares, processes)
    counts: Counter[tuple[str, str, str, Routed]] = Counter()
    wrong: Counter[str] = Counter()
    places: list[str] = []
    rows = 0
    for tally in tallies:
        rows += tally.rows
        counts.update(tally.counts)
        for _, reason, place in tally.faults:
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
        wrong=_most_first(wrong),
        wrong_places=tuple(places),
    )


def _most_first(counted: Counter[str]) -> tuple[tuple[str, int], ...]:
    """Names with their counts; of equals by name, since who came first depends on how the work was shared."""
    return tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _shares(numbered: Iterator[tuple[int, str]]) -> Iterator[_Numbered]:
    while share := list(islice(numbered, _SHARE)):
        yield share


def _in_processes(
    files: Mapping[str, str], header: str, file: str, shares: Iterator[_Numbered], processes: int
) -> Iterator[_Tally]:
    """Tallies in the order of the file; no more of it is read than is worked on.

    Claims of the same code go to the same process, which remembers what it decided. Processes are started afresh, as
    for what-if.
    """
    context = multiprocessing.get_context("spawn")
    place = positions(header, file)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(ProcessPoolExecutor(1, context, _start, (dict(files), header, file)))
            for _ in range(processes)
        ]
        under_way: deque[list[Future[_Tally]]] = deque()
        for share in shares:
            parts = _by_code(share, place["code"], processes)
            under_way.append([worker.submit(_compare_here, part) for worker, part in zip(workers, parts, strict=True)])
            if len(under_way) > _AHEAD:
                yield _together(under_way.popleft())
        while under_way:
            yield _together(under_way.popleft())


def _by_code(share: _Numbered, column: int, parts: int) -> list[list[tuple[int, str]]]:
    """The lines in parts, each code in one. A row in disorder goes anywhere."""
    found: list[list[tuple[int, str]]] = [[] for _ in range(parts)]
    for each in share:
        cells = each[1].split(",", column + 1)
        found[hash(cells[min(column, len(cells) - 1)]) % parts].append(each)
    return found


def _together(parts: list[Future[_Tally]]) -> _Tally:
    tally = _Tally()
    for part in parts:
        tally.add(part.result())
    return tally


_here: tuple[ClaimRouter, str]


def _start(files: Mapping[str, str], header: str, file: str) -> None:
    """In a new process: load the rulebook once."""
    global _here  # noqa: PLW0603  # one for a process, whose shares use it
    rulebook = build(files).rulebook
    if rulebook is None:
        raise RuntimeError("The rulebook that was loaded does not load again.")
    _here = ClaimRouter(rulebook, positions(header, file)), file


def _compare_here(share: _Numbered) -> _Tally:
    router, file = _here
    return _compare(router, share, file)


def _compare(router: ClaimRouter, share: _Numbered, file: str) -> _Tally:
    """Route the claims of a share."""
    tally = _Tally()
    for number, raw in share:
        if not raw.strip() or raw.startswith("#"):
            continue
        tally.rows += 1
        try:
            tally.counts[router.compare(cells_of(raw))] += 1
        except WrongRow as error:
            tally.faults.append((number, str(error), f"{file}:{number}: {error}{error.detail}"))
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
            rules=_most_first(rules)[:3],
        )
