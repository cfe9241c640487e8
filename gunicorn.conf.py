"""gunicorn settings, from the same environment as the service. `signpost serve` starts gunicorn with these."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

from gunicorn.workers.base import Worker

from app.settings import Settings

settings = Settings()

bind = f"{settings.host}:{settings.port}"
workers = settings.workers
threads = settings.threads
# Threads, because a hook that waits for the EHR would otherwise hold a whole worker.
worker_class = "app.web.worker.Worker"
# Open at once in a worker, most of them idle; beyond, the kernel lets them wait.
worker_connections = 4000
# Rules are read once and shared by the workers; each opens its own connections after the fork.
preload_app = True
timeout = 30
graceful_timeout = 15
keepalive = 30
# Larger than a URL with a JWT in its header needs, small enough to bound a hostile one.
limit_request_line = 4094
limit_request_field_size = 16380
loglevel = "warning"
accesslog = None


# Each worker counts in files of its own, which the one that is asked for /metrics adds up. In memory where that can be:
# a full disk must not cost a call. Named by this process: a reload reads these lines again, and a successor inherits.
_OWN = f"signpost-metrics-{os.getpid()}-"
if not Path(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")).name.startswith(_OWN):
    _memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # mkdtemp makes a folder of our own
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=_OWN, dir=_memory)


def child_exit(server: object, worker: Worker) -> None:
    """Take away what a worker that is gone said of itself alone: live gauges. What it counted stays."""
    # Not imported above: on import it looks whether it is to count in files, which is settled only there.
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: object) -> None:
    """Take the files away."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def pre_fork(server: object, worker: object) -> None:
    """Leave the loaded rules out of garbage collection, so that workers go on sharing their memory."""
    gc.freeze()
    # A call leaves some ten thousand objects, hardly one of them in a cycle: looking for those every 700 objects, as
    # Python does unless told, costs a twentieth of the call and finds nothing.
    gc.set_threshold(20_000, 20, 20)
