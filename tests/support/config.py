"""Complete configurations from the few lines that a test cares about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Config = dict[str, Any]


def node_settings(folder: Path) -> Config:
    """What every gateway of the tests has: its own folder, ports from the kernel, the admin listener."""
    return {
        "workers": 2,
        "data_dir": str(folder / "data"),
        "access_log": {"path": str(folder / "access.log"), "format": "json"},
        "admin": {"address": "127.0.0.1:0"},
        "listeners": {"main": {"address": "127.0.0.1:0"}},
    }


def full_config(folder: Path, origin_url: str | None, *, policies: list[Any] | None = None,
                routes: Config | None = None,
                services: Config | None = None, listener: Config | None = None, route: Config | None = None,
                service: Config | None = None, **rest: Any) -> Config:
    """A configuration with a route `/*` named `default` to the scripted origin, changed as the arguments say.

    policies: of the default route. listener, route, service: fields added to the `main` listener, the default route and
    the service `origin`. routes, services: used instead of the default ones; a route without an action goes to `origin`.
    Everything else is a top-level key.
    """
    config = node_settings(folder)
    config["listeners"]["main"].update(listener or {})
    if services is None:
        services = {"origin": {"endpoints": [origin_url], **(service or {})}} if origin_url else {}
    if routes is None:
        routes = {"default": {"match": {"path": "/*"}, **(route or {})}}
    for name, one in routes.items():
        if not {"service", "respond", "redirect"} & set(one):
            routes[name] = {**one, "service": next(iter(services))}
    if policies is not None:
        routes["default"]["policies"] = policies
    config.update({"services": services, "routes": routes})
    config.update(rest)
    return config
