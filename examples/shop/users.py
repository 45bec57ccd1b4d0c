#!/usr/bin/python3
"""Users: who the customers are."""

from __future__ import annotations

import sys
from typing import Any

import web


def mount(app: web.App) -> None:
    users: dict[str, dict[str, Any]] = {
        "alice": {"name": "alice", "email": "alice@shop.example", "city": "Leeds"},
        "bob": {"name": "bob", "email": "bob@shop.example", "city": "Cork"},
    }

    def me(call: web.Call) -> tuple[int, Any]:
        if call.user not in users:
            raise web.Problem(404, "nobody of that name has signed up")
        return 200, users[call.user]

    def sign_up(call: web.Call) -> tuple[int, Any]:
        name = call.need("name", str)
        with app.lock:
            if name in users:
                raise web.Problem(409, "the name is taken")
            users[name] = {"name": name, "email": call.need("email", str), "city": ""}
        return 201, users[name]

    app.on("GET", "/users/me", me)
    app.on("POST", "/users", sign_up)


if __name__ == "__main__":
    sys.exit(web.run("users", ("users", mount)))
