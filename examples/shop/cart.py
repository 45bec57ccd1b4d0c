#!/usr/bin/python3
"""Cart: what each customer is about to buy. Asks the catalogue for prices."""

from __future__ import annotations

import sys
from typing import Any

import web

QUANTITY_MAX = 100


def mount(app: web.App) -> None:
    carts: dict[str, dict[str, int]] = {}

    def view(call: web.Call) -> tuple[int, Any]:
        with app.lock:
            lines = dict(carts.get(call.user, {}))
        items, total = [], 0
        for product_id, quantity in lines.items():
            product = app.ask("catalogue", "GET", f"/products/{product_id}", call.user)
            items.append({"product": product_id, "name": product["name"], "quantity": quantity})
            total += quantity * product["price_cents"]
        return 200, {"items": items, "total_cents": total}

    def put(call: web.Call) -> tuple[int, Any]:
        quantity = call.need("quantity", int)
        if not 0 < quantity <= QUANTITY_MAX:
            raise web.Problem(422, f"`quantity` must be from 1 to {QUANTITY_MAX}")
        app.ask("catalogue", "GET", f"/products/{call.parts['id']}", call.user)
        with app.lock:
            carts.setdefault(call.user, {})[call.parts["id"]] = quantity
        return view(call)

    def take_out(call: web.Call) -> tuple[int, Any]:
        with app.lock:
            carts.get(call.user, {}).pop(call.parts["id"], None)
        return view(call)

    def clear(call: web.Call) -> tuple[int, Any]:
        with app.lock:
            carts.pop(call.user, None)
        return view(call)

    app.on("GET", "/cart", view)
    app.on("DELETE", "/cart", clear)
    app.on("PUT", "/cart/items/{id}", put)
    app.on("DELETE", "/cart/items/{id}", take_out)


if __name__ == "__main__":
    sys.exit(web.run("cart", ("cart", mount)))
