from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import structlog

from app.fhir.ehr import ConnectionPool, EhrConnection, Fetched, HostPolicy, Read, Search

# Test folders are not importable under pytest's importlib mode.
_spec = spec_from_file_location("ehr_server", Path(__file__).with_name("ehr_server.py"))
ehr_server = module_from_spec(_spec)
_spec.loader.exec_module(ehr_server)
answer, status, once = ehr_server.answer, ehr_server.status, ehr_server.once

TOKEN = "secret-token-of-this-call"
PATIENT = {"resourceType": "Patient", "id": "p1"}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}


def condition(number: int) -> dict[str, str]:
    return {"resourceType": "Condition", "id": f"c{number}"}


def bundle(*resources, next_url=None):
    page = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in resources]}
    return page | ({"link": [{"relation": "next", "url": next_url}]} if next_url else {})


@pytest.fixture
def server():
    with ehr_server.EhrServer() as running:
        yield running


@pytest.fixture
def pool():
    pool = ConnectionPool(HostPolicy(None))
    yield pool
    pool.close()


@pytest.fixture
def connect(server, pool):
    """A hook call's connection; `seconds` from now is its deadline."""

    def connect(seconds: float = 30, base: str | None = None, pool: ConnectionPool = pool) -> EhrConnection:
        return EhrConnection(pool, base or server.base, TOKEN, time.monotonic() + seconds)

    return connect


def test_a_read_gives_plain_dicts_and_keeps_decimals(server, connect):
    server.on["/Observation/o1"] = answer(b'{"resourceType":"Observation","id":"o1","valueQuantity":{"value":1.10}}')
    fetched = connect().read("Observation/o1")
    assert (fetched.complete, fetched.problem) == (True, None)
    (observation,) = fetched.resources
    assert type(observation) is type(observation["valueQuantity"]) is dict
    assert str(observation["valueQuantity"]["value"]) == "1.10"
    assert isinstance(observation["valueQuantity"]["value"], Decimal)
    assert server.headers[0]["Accept"] == "application/fhir+json"
    assert server.headers[0]["Authorization"] == f"Bearer {TOKEN}"


def test_a_search_gives_matches_and_includes_of_all_pages(server, connect):
    pages = iter(
        [
            bundle(condition(1), PATIENT, next_url=f"{server.base}?page=2"),
            bundle(condition(2), {"resourceType": "OperationOutcome", "issue": []}, next_url="Condition?page=3"),
            bundle(condition(3)),
        ]
    )
    server.on["/Condition"] = server.on[""] = lambda handler: answer(next(pages))(handler)
    fetched = connect().search("Condition", [("patient", "p1"), ("category", "a|b"), ("category", "c")])
    assert [each["id"] for each in fetched.resources] == ["c1", "p1", "c2", "c3"]
    assert (fetched.complete, fetched.problem) == (True, None)
    assert server.asked == ["/Condition?patient=p1&category=a%7Cb&category=c", "?page=2", "/Condition?page=3"]


TROUBLE = [
    ("refused", status(403), "refused access to Patient (403)"),
    ("token expired", status(401), "refused access to Patient (401)"),
    ("throttled", status(429), "too busy to answer for Patient (429)"),
    ("bad request", status(400), "did not accept the request for Patient (400)"),
    ("html error", status(500), "failed while answering for Patient (500)"),
    ("large error page", status(503, b"x" * 1_000_000), "failed while answering for Patient (503)"),
    ("redirect", status(302, Location="http://127.0.0.1:9/Patient/p1"), "redirected the request for Patient"),
    ("redirect at home", status(307, Location="/fhir/Patient/p2"), "redirected the request for Patient"),
    ("no content", status(204, b""), "did not accept the request for Patient (204)"),
    ("empty", answer(b""), "not FHIR"),
    ("html", answer(b"<html>please log in</html>"), "not FHIR"),
    ("json but not FHIR", answer({"name": "x"}), "not FHIR"),
    ("a list", answer([PATIENT]), "not FHIR"),
    ("deep", answer(b"[" * 200_000), "not FHIR"),
    ("outcome", answer(OUTCOME), "reported a problem instead of Patient"),
    ("broken gzip", answer(b"no gzip", Content_Encoding="gzip"), "could not be reached"),
    ("reset", ehr_server.reset, "broke off the connection"),
    ("cut short", ehr_server.cut_short, "broke off the connection"),
    ("endless", ehr_server.endless(200), "larger than 5 MB"),
    ("endless redirect", ehr_server.endless(302), "redirected the request for Patient"),
    ("endless error", ehr_server.endless(500), "failed while answering for Patient (500)"),
    ("bomb", ehr_server.bomb, "larger than 5 MB"),
]  # fmt: skip


@pytest.mark.parametrize(("behaviour", "problem"), [row[1:] for row in TROUBLE], ids=[row[0] for row in TROUBLE])
def test_trouble_is_a_result_in_words(server, connect, behaviour, problem):
    server.on["/Patient/p1"] = server.on["/Patient"] = behaviour
    ehr = connect()
    read, search = Read("Patient", "p1"), Search("Patient", (("_id", "p1"),))
    fetched = ehr.fetch([read, search])
    for result in fetched.values():
        assert problem in result.problem
        assert (result.resources, result.complete) == ((), False)


@pytest.mark.parametrize("code", [404, 410])
def test_a_record_that_is_not_there_is_an_answer(server, connect, code):
    server.on["/Patient/p1"] = server.on["/Condition"] = status(code)
    assert connect().read("Patient/p1") == Fetched((), True, "The EHR has no such record (Patient)")
    assert not connect().search("Condition", []).complete


@pytest.mark.parametrize("other", [{"resourceType": "Patient", "id": "p2"}, {"resourceType": "Group", "id": "p1"}])
def test_another_record_than_asked_for_is_no_answer(server, connect, other):
    server.on["/Patient/p1"] = answer(other)
    fetched = connect().read("Patient/p1")
    assert (fetched.resources, fetched.complete) == ((), False)
    assert "other than the Patient" in fetched.problem


@pytest.mark.parametrize(
    "key", ["", "Patient", "Patient/", "Patient/..", "Patient/p1/../../admin", "patient/x", "x?/y"]
)
def test_a_key_that_is_none_is_not_sent(server, connect, key):
    assert not connect().read(key).complete
    assert server.asked == []


@pytest.mark.parametrize(
    "behaviour",
    [ehr_server.hang, ehr_server.drip_headers, ehr_server.drip_body, ehr_server.drip_chunks],
    ids=["hang", "drip headers", "drip body", "drip chunks"],
)
def test_a_slow_ehr_neither_delays_the_answer_nor_keeps_the_thread(server, connect, behaviour):
    server.on["/Patient/slow"] = behaviour
    server.on["/Patient/p1"] = answer(PATIENT)
    pool = ConnectionPool(HostPolicy(None), workers=1)
    late = connect(0.3, pool=pool).read("Patient/slow")
    assert late == Fetched((), False, "The EHR did not answer in time")
    # One thread only: this cannot be answered before the straggler has ended.
    assert connect(pool=pool).read("Patient/p1").resources == (PATIENT,)
    pool.close()


def test_a_dripped_tls_handshake_ends_too(server, connect):
    pool = ConnectionPool(HostPolicy(None), workers=1)
    server.on["/Patient/p1"] = answer(PATIENT)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"https://127.0.0.1:{silent.getsockname()[1]}"
        assert connect(0.3, base, pool).read("Patient/p1").problem == "The EHR did not answer in time"
        assert connect(pool=pool).read("Patient/p1").resources == (PATIENT,)
    pool.close()


def test_what_arrived_is_kept_when_something_else_is_late(server, connect):
    server.on["/Patient/p1"] = answer(PATIENT)
    server.on["/Condition"] = ehr_server.hang
    fetched = connect(0.5).fetch([Read("Patient", "p1"), Search("Condition", ())])
    assert fetched[Read("Patient", "p1")] == Fetched((PATIENT,), True, None)
    assert fetched[Search("Condition", ())].problem == "The EHR did not answer in time"


def test_a_deadline_gone_by_asks_nothing(server, connect):
    assert connect(-1).read("Patient/p1").problem == "The EHR did not answer in time"
    assert server.asked == []


def test_reads_go_out_together(server, connect):
    together = threading.Barrier(6, timeout=20)
    wanted = [Read("Patient", f"p{number}") for number in range(6)]
    for read in wanted:
        found = answer({"resourceType": "Patient", "id": read.id})
        server.on[f"/Patient/{read.id}"] = lambda handler, found=found: (together.wait(), found(handler))
    fetched = connect().fetch([*wanted, *wanted])
    assert all(fetched[read].resources[0]["id"] == read.id for read in wanted)
    assert len(server.asked) == 6


def test_connections_are_kept_between_calls(server, connect):
    server.on["/Patient/p1"] = answer(PATIENT)
    server.on["/Patient/gone"] = status(404)
    for _ in range(5):
        assert connect().read("Patient/p1").complete
        assert connect().read("Patient/gone").complete
    assert server.connections == 1


def test_a_broken_connection_is_tried_once_more(server, connect):
    server.on["/Patient/p1"] = once(ehr_server.reset, answer(PATIENT))
    server.on["/Patient/p2"] = once(ehr_server.cut_short, answer(PATIENT | {"id": "p2"}))
    server.on["/Patient/p3"] = ehr_server.reset
    assert connect().read("Patient/p1").resources == (PATIENT,)
    assert connect().read("Patient/p2").complete
    assert not connect().read("Patient/p3").complete
    assert server.asked == ["/Patient/p1"] * 2 + ["/Patient/p2"] * 2 + ["/Patient/p3"] * 2


def test_nobody_listens(server, connect):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        base = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert connect(base=base).read("Patient/p1").problem == "The EHR could not be reached"


def test_cookies_of_one_call_are_not_sent_in_another(server, connect):
    server.on["/Patient/p1"] = answer(PATIENT, Set_Cookie="session=of-another-user; Path=/")
    connect().read("Patient/p1")
    connect().read("Patient/p1")
    assert all("Cookie" not in headers for headers in server.headers)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "{other}/Condition?page=2",
        "{other}/x?{base}",
        "//127.0.0.1:{port}/Condition",
        "http://user@127.0.0.1:{own}/fhir",
        "ftp://127.0.0.1/x",
    ],
)
def test_pages_on_another_server_are_not_read_and_the_token_stays(server, connect, elsewhere):
    with ehr_server.EhrServer() as other:
        url = elsewhere.format(other=other.base, base=server.base, port=other.server_port, own=server.server_port)
        server.on["/Condition"] = answer(bundle(condition(1), next_url=url))
        fetched = connect().search("Condition", [])
        assert fetched == Fetched(
            (condition(1),), False, "The EHR's answer continues on another server, which is not read"
        )
        assert (other.asked, len(server.asked)) == ([], 1)


def test_pages_are_capped(server, connect):
    server.on["/Condition"] = answer(bundle(condition(1), next_url=f"{server.base}/Condition?again"))
    fetched = connect().search("Condition", [])
    assert (len(fetched.resources), fetched.complete) == (5, False)
    assert fetched.problem == "The EHR holds more Condition than are read in one call"


@pytest.mark.parametrize(
    ("second", "problem"),
    [(status(500), "failed"), (answer(PATIENT), "not a list"), (answer(OUTCOME), "reported a problem")],
)
def test_pages_read_before_trouble_are_kept(server, connect, second, problem):
    server.on["/Condition"] = once(answer(bundle(condition(1), next_url="Condition?page=2")), second)
    fetched = connect().search("Condition", [])
    assert (fetched.resources, fetched.complete) == ((condition(1),), False)
    assert problem in fetched.problem


@pytest.mark.parametrize(
    ("issue", "complete"),
    [
        ({"severity": "warning", "code": "suppressed"}, False),
        ({"severity": "information", "code": "incomplete"}, False),
        ({"severity": "error", "code": "processing"}, False),
        ({"severity": "warning", "code": "processing"}, True),
        ({"severity": "information", "code": "informational"}, True),
        ({}, True),
    ],
)
def test_remarks_in_a_bundle_may_say_that_it_is_not_complete(server, connect, issue, complete):
    server.on["/Condition"] = answer(bundle(condition(1), {"resourceType": "OperationOutcome", "issue": [issue]}))
    fetched = connect().search("Condition", [])
    assert (fetched.resources, fetched.complete, fetched.problem is None) == ((condition(1),), complete, complete)


@pytest.mark.parametrize(
    ("base", "allowed"),
    [
        ("https://ehr.example.org/fhir", True),
        ("https://ehr.example.org/fhir/", True),
        ("HTTPS://EHR.example.org:443/fhir", True),
        ("https://ehr.example.org/fhir/tenant-7", True),
        ("http://ehr.example.org/fhir", False),
        ("https://ehr.example.org:8443/fhir", False),
        ("https://ehr.example.org/fhirevil", False),
        ("https://ehr.example.org/", False),
        ("https://ehr.example.org/fhir/../admin", False),
        ("https://ehr.example.org/fhir/%2e%2e/admin", False),
        ("https://ehr.example.org.evil.example/fhir", False),
        ("https://ehr.example.org@evil.example/fhir", False),
        ("https://evil.example\\@ehr.example.org/fhir", False),
        ("https://user:pw@ehr.example.org/fhir", False),
        ("https://ehr.example.org/fhir?x=1", False),
        ("https://ehr.example.org/fhir#x", False),
        ("https://ehr.example.org/fhir x", False),
        ("http://169.254.169.254/latest", False),
        ("file:///etc/passwd", False),
        ("ehr.example.org/fhir", False),
        ("https://[::1", False),
        ("", False),
    ],
)
def test_bases_allowed(base, allowed):
    policy = HostPolicy(("https://ehr.example.org/fhir/", "not a url"))
    assert policy.allows(base) is allowed
    assert not HostPolicy(()).allows(base)


@pytest.mark.parametrize(
    ("base", "allowed"), [("http://127.0.0.1:8080", True), ("https://h/fhir", True), ("ftp://h/fhir", False)]
)
def test_a_sandbox_reads_any_http_server(base, allowed):
    assert HostPolicy(None).allows(base) is allowed


def test_a_base_that_is_not_allowed_is_not_asked(server, connect):
    pool = ConnectionPool(HostPolicy(("https://ehr.example.org/fhir",)))
    fetched = connect(pool=pool).read("Patient/p1")
    assert fetched == Fetched((), False, "The EHR's FHIR server is not one this service may read")
    assert server.connections == 0
    pool.close()


def test_neither_token_nor_ids_come_out(server, connect, pool):
    server.on["/Patient/p1"] = status(403, f"no {TOKEN}".encode())
    server.on["/Patient/p2"] = ehr_server.reset
    ehr = connect()
    bad_token = EhrConnection(pool, server.base, f"{TOKEN}\nX: 1", time.monotonic() + 30)
    structlog.reset_defaults()  # a service started by an earlier test may have asked for errors only
    with structlog.testing.capture_logs() as logs:
        results = [ehr.read("Patient/p1"), ehr.read("Patient/p2"), bad_token.read("Patient/p1")]
    assert [result.complete for result in results] == [False] * 3
    assert len(logs) == 3
    for text in (repr(ehr), repr(vars(ehr)["_client"]), repr(pool), repr(results), repr(logs)):
        assert TOKEN not in text
        assert "p1" not in text


def test_a_call_without_a_token_sends_none(server, pool):
    server.on["/Patient/p1"] = answer(PATIENT)
    assert EhrConnection(pool, server.base, None, time.monotonic() + 30).read("Patient/p1").complete
    assert "Authorization" not in server.headers[0]


@pytest.fixture
def certificate(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl command for a certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_tls_is_verified_pooled_and_cut(server, connect, certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    server.on["/Patient/p1"] = answer(PATIENT)
    server.on["/Patient/slow"] = ehr_server.drip_headers

    # The environment does not decide whom we trust.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    assert connect().read("Patient/p1").problem == "The EHR's certificate was not accepted"

    pool = ConnectionPool(HostPolicy(None), verify=str(certificate[0]), workers=1)
    before = server.connections
    for _ in range(3):
        assert connect(pool=pool).read("Patient/p1").complete
    assert server.connections == before + 1
    assert connect(0.3, pool=pool).read("Patient/slow").problem == "The EHR did not answer in time"
    assert connect(pool=pool).read("Patient/p1").complete
    pool.close()
