"""`python -m bench.disk [DATABASE_URL]`: what a call leaves on the disk, and what PostgreSQL writes for it."""

from __future__ import annotations

import base64
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import Connection, create_engine

from app import create_app
from app.ledger import Ledger
from app.settings import Settings
from bench.body import NUMBER, order_sign

CALLS = 500
TABLES = ("invocation", "assertion", "card", "event", "snapshot")


def main() -> None:
    """Answer calls about new orders, and say what became larger."""
    url = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(prefix="signpost-bench-") as scratch:
        if url is not None:
            Ledger.migrate(url)
        settings = Settings(
            sandbox=True,
            data_dir=Path(scratch),
            rules_interval=0,
            database_url=url,
            log_level="error",
            encryption_keys=(base64.b64encode(bytes(32)).decode(),),  # type: ignore[arg-type]  # as the environment gives it
        )
        http, body = create_app(settings).test_client(), order_sign()
        logging.disable()
        engine = create_engine(settings.ledger_url)
        with engine.connect() as connection:
            before = _sizes(connection)
        started = time.perf_counter()
        for number in range(CALLS):
            sent = body.replace(NUMBER, b"%08d" % number)
            answer = http.post("/cds-services/order-sign-crd", data=sent, content_type="application/json")
            assert answer.status_code == 200
        elapsed = time.perf_counter() - started
        with engine.connect() as connection:
            after = _sizes(connection)
    print(f"{CALLS} calls in {elapsed:.0f} s, {len(body)} bytes asked, {len(answer.data)} answered")
    print(json.dumps({name: round((after[name] - before[name]) / CALLS) for name in after}))


def _sizes(connection: Connection) -> dict[str, int]:
    """Bytes with indexes by table, and of the log that is written ahead, so far."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        return {"file": connection.exec_driver_sql(pages).scalar_one()}
    sizes = {}
    for table in TABLES:
        parts = f"SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('{table}') WHERE isleaf"
        sizes[table] = int(connection.exec_driver_sql(parts).scalar_one() or 0)
    sizes["written ahead"] = int(connection.exec_driver_sql("SELECT pg_current_wal_lsn() - '0/0'").scalar_one())
    return sizes


if __name__ == "__main__":
    main()
