"""Reading Bundles as they come: null entries, entries without a resource, outcomes among the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.fhir.outcomes import issues_of


class Entry(NamedTuple):
    """One resource of a Bundle and the URL it goes by there."""

    full_url: str | None
    resource: dict[str, Any]


def is_bundle(value: Any) -> bool:
    """Whether `value` is a Bundle resource."""
    return isinstance(value, dict) and value.get("resourceType") == "Bundle"


def entries(bundle: Any) -> list[Entry]:
    """The data of a Bundle. OperationOutcomes are remarks on the data, not data: they come from `issues`."""
    found = []
    for entry, resource in _with_resource(bundle):
        if resource["resourceType"] != "OperationOutcome":
            full_url = entry.get("fullUrl")
            found.append(Entry(full_url if isinstance(full_url, str) else None, resource))
    return found


def resources(bundle: Any) -> Iterator[dict[str, Any]]:
    """The resources of `entries`."""
    return (entry.resource for entry in entries(bundle))


def issues(bundle: Any) -> Iterator[dict[str, Any]]:
    """Every issue of the OperationOutcomes among a Bundle's entries, whatever their search.mode."""
    for _, resource in _with_resource(bundle):
        if resource["resourceType"] == "OperationOutcome":
            yield from issues_of(resource)


def has_issues(bundle: Any) -> bool:
    """Whether there is any of them."""
    return next(issues(bundle), None) is not None


def next_link(bundle: Any) -> str | None:
    """The URL of a search's next page, as written."""
    links = bundle.get("link") if isinstance(bundle, dict) else None
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("relation") == "next":
            url = link.get("url")
            if isinstance(url, str) and url.strip():
                return url.strip()
    return None


def _with_resource(bundle: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The entries of a Bundle that bring a resource of some type, each with it."""
    listed = bundle.get("entry") if is_bundle(bundle) else None
    for entry in listed if isinstance(listed, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
            yield entry, resource
