"""Parameters resources as clients send them: what is there, by name, and what is no Parameters at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.errors import InvalidRequest
from app.fhir import references
from app.fhir.json import decode


class Parameter(NamedTuple):
    """One parameter, and the path to it for whoever wrote it."""

    name: str
    data: dict[str, Any]
    element: str

    @property
    def resource(self) -> dict[str, Any]:
        """Its resource. InvalidRequest when it has none."""
        found = self.data.get("resource")
        if not isinstance(found, dict) or not references.is_type(found.get("resourceType")):
            raise InvalidRequest(
                f"The parameter '{self.name}' holds no FHIR resource.",
                element=f"{self.element}.resource",
                code="structure",
            )
        return found

    def text(self, *types: str) -> str:
        """Its value as one of `types` (`valueString`), which all are text. InvalidRequest for any other."""
        for name in types:
            value = self.data.get(name)
            if isinstance(value, str) and value.strip():
                return value.strip()
        raise InvalidRequest(
            f"The parameter '{self.name}' has no {' or '.join(types)}.", element=self.element, code="value"
        )


def read_resource(body: bytes) -> dict[str, Any]:
    """The resource of a body. InvalidRequest when it is none."""
    data = decode(body)
    if not isinstance(data, dict) or not references.is_type(data.get("resourceType")):
        raise InvalidRequest("The body is not a FHIR resource.", code="structure")
    return data


def parameters_of(resource: dict[str, Any]) -> Iterator[Parameter]:
    """The parameters of a Parameters resource. InvalidRequest when it is another resource or broken."""
    if resource.get("resourceType") != "Parameters":
        raise InvalidRequest(
            f"The body is a {str(resource.get('resourceType'))[:40]}; send Parameters.", code="structure"
        )
    listed = resource.get("parameter")
    if not isinstance(listed, list):
        raise InvalidRequest("There are no parameters.", element="Parameters.parameter", code="required")
    for position, each in enumerate(listed):
        element = f"Parameters.parameter[{position}]"
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise InvalidRequest("A parameter has no name.", element=element, code="structure")
        yield Parameter(each["name"], each, element)
