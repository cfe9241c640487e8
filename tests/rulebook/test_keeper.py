from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import RulebookError
from app.rulebook.keeper import FileKeeper
from app.rulebook.rulebook import content_hash
from tests.rulebook.small import FILES, write


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return write(FILES, tmp_path)


@pytest.fixture
def policy(folders: tuple[Path, Path]) -> Path:
    return folders[0] / "policies" / "drug.yaml"


@pytest.fixture
def keeper(folders: tuple[Path, Path]) -> FileKeeper:
    """One that looks only when it is told to."""
    return FileKeeper(*folders, interval=0)


def title(keeper: FileKeeper) -> str:
    return keeper.current.policies[0].scope.title


def eventually(holds: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether it came to hold; the limit only bounds a failure."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.005)
    return holds()


def test_starts_with_what_is_on_disk(keeper: FileKeeper) -> None:
    assert keeper.current.hash == content_hash(FILES)
    assert keeper.rejected == ()


def test_refuses_to_start_with_rules_that_must_not_go_live(folders: tuple[Path, Path], policy: Path) -> None:
    policy.write_text(policy.read_text().replace("contact: desk", "contact: dsk"))
    with pytest.raises(RulebookError, match=r"policies/drug\.yaml:20 .* no contact 'dsk'"):
        FileKeeper(*folders, interval=0)


def test_a_good_edit_goes_live_whole(keeper: FileKeeper, policy: Path) -> None:
    before = keeper.current
    policy.write_text(policy.read_text().replace("A drug", "A better drug"))
    assert title(keeper) == "A drug", "not before it looked"
    assert keeper.refresh() is True
    assert title(keeper) == "A better drug"
    assert before.policies[0].scope.title == "A drug", "who holds the old one keeps it"
    assert keeper.refresh() is False


def bad_edit(path: Path) -> None:
    path.write_text(path.read_text().replace("contact: desk", "contact: dsk"))


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def emptied(path: Path) -> None:
    path.write_text("")


def list_deleted(path: Path) -> None:
    (path.parents[1] / "lists" / "drug.csv").unlink()


def payer_deleted(path: Path) -> None:
    (path.parents[1] / "payer.yaml").unlink()


def folder_moved(path: Path) -> None:
    path.parents[1].rename(path.parents[2] / "elsewhere")


def form_broken(path: Path) -> None:
    (path.parents[2] / "questionnaires" / "form" / "questionnaire.json").write_text("{")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (bad_edit, "no contact 'dsk'"),
        (garbage, "policies/drug.yaml"),
        (emptied, "The file is empty."),
        (list_deleted, "no list 'drug'"),
        (payer_deleted, "payer.yaml: error: The file is missing."),
        (folder_moved, "no such folder"),
        (form_broken, "not JSON"),
    ],
)
def test_a_bad_edit_keeps_the_running_rulebook(
    keeper: FileKeeper, policy: Path, edit: Callable[[Path], None], told: str
) -> None:
    before = keeper.current
    edit(policy)
    assert keeper.refresh() is False
    assert keeper.current is before
    assert any(told in problem for problem in keeper.rejected), keeper.rejected
    assert keeper.refresh() is False
    assert keeper.rejected, "still refused while nothing changed"


def test_a_deleted_policy_is_an_edit_like_any_other(keeper: FileKeeper, policy: Path) -> None:
    policy.unlink()
    assert keeper.refresh() is True
    assert keeper.current.policies == ()


def test_mending_the_edit_or_taking_it_back(keeper: FileKeeper, policy: Path) -> None:
    good, before = policy.read_text(), keeper.current
    policy.write_text("{")
    keeper.refresh()
    policy.write_text(good)
    assert keeper.refresh() is False, "what is on disk is what runs"
    assert keeper.rejected == ()
    assert keeper.current is before
    policy.write_text("{")
    keeper.refresh()
    policy.write_text(good.replace("A drug", "Another"))
    assert keeper.refresh() is True
    assert keeper.rejected == ()
    assert title(keeper) == "Another"


def test_touching_a_file_changes_nothing(keeper: FileKeeper, policy: Path) -> None:
    before = keeper.current
    os.utime(policy, (1, 1))
    assert keeper.refresh() is False
    assert keeper.current is before


def test_a_file_that_vanishes_during_the_look(
    keeper: FileKeeper, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = os.stat

    def vanished(path: str, *args: object, **kwargs: object) -> os.stat_result:
        if path == str(policy):
            raise FileNotFoundError(path)
        return stat(path, *args, **kwargs)  # type: ignore[arg-type]

    before = keeper.current
    monkeypatch.setattr("app.rulebook.keeper.os.stat", vanished)
    assert keeper.refresh() is False
    assert keeper.current is before


def test_interval_0_starts_no_thread(keeper: FileKeeper) -> None:
    threads = threading.active_count()
    assert keeper.current is keeper.current
    assert threading.active_count() == threads


@pytest.fixture
def watching(folders: tuple[Path, Path]) -> FileKeeper:
    return FileKeeper(*folders, interval=0.005)


def test_edits_go_live_by_themselves(watching: FileKeeper, policy: Path) -> None:
    threads = threading.active_count()
    assert title(watching) == "A drug"
    assert threading.active_count() == threads + 1
    policy.write_text(policy.read_text().replace("A drug", "Another"))
    assert eventually(lambda: title(watching) == "Another")
    assert threading.active_count() == threads + 1, "one thread, however often the rulebook is asked for"


def test_two_calls_that_both_find_nobody_watching(watching: FileKeeper) -> None:
    threads = threading.active_count()
    watching._watch()
    watching._watch()
    assert threading.active_count() == threads + 1


def test_a_look_that_fails_does_not_end_the_watching(
    watching: FileKeeper, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[int] = []
    refresh = watching.refresh

    def fails_twice() -> bool:
        if len(failures) < 2:
            failures.append(1)
            raise RuntimeError("a disk that stumbles")
        return refresh()

    monkeypatch.setattr(watching, "refresh", fails_twice)
    policy.write_text(policy.read_text().replace("A drug", "Another"))
    assert eventually(lambda: title(watching) == "Another")
    assert len(failures) == 2


def in_child(task: Callable[[], bool]) -> bool:
    """Whether `task` holds in a forked process; one that hangs is ended."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if task() else 1
        finally:
            os._exit(code)
    ended = threading.Event()
    watchdog = threading.Timer(30, lambda: None if ended.is_set() else os.kill(pid, 9))
    watchdog.daemon = True
    watchdog.start()
    _, status = os.waitpid(pid, 0)
    ended.set()
    watchdog.cancel()
    return status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked on POSIX only")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
class TestForkedWorker:
    """gunicorn loads the service once and forks its workers: threads and held locks stay behind."""

    def test_watches_for_itself(self, watching: FileKeeper, policy: Path) -> None:
        assert title(watching) == "A drug"  # the parent watches from here on

        def sees_the_edit() -> bool:
            policy.write_text(policy.read_text().replace("A drug", "Another"))
            return eventually(lambda: title(watching) == "Another")

        assert in_child(sees_the_edit)

    def test_does_not_wait_for_a_lock_its_parent_held(self, watching: FileKeeper) -> None:
        with watching._lock:
            assert in_child(lambda: title(watching) == "A drug")
