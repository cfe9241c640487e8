"""What the console and the sandbox look like: one stylesheet, one page to fill."""

from __future__ import annotations

from flask import Blueprint, Response

blueprint = Blueprint(
    "look", __name__, url_prefix="/look", template_folder="templates", static_folder="static", static_url_path=""
)


@blueprint.after_request
def _keep(response: Response) -> Response:
    response.headers["Cache-Control"] = "private, max-age=300"
    return response
