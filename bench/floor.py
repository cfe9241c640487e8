"""The floor: the same Flask behind the same gunicorn, parsing the body and echoing it."""

from __future__ import annotations

from flask import Flask, Response, request

from app.fhir.json import decode, encode

app = Flask(__name__)


@app.post("/cds-services/order-sign-crd")
def echo() -> Response:
    return Response(encode(decode(request.get_data(cache=False))), mimetype="application/json")


@app.get("/readyz")
def ready() -> Response:
    return Response(b"{}", mimetype="application/json")
