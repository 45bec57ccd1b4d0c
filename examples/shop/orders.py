#!/usr/bin/python3
"""Orders and their payment. An order is made from the customer's cart."""

from __future__ import annotations

import sys
from typing import Any

import web


def mount(app: web.App) -> None:
    orders: dict[str, dict[str, Any]] = {}

    def listing(call: web.Call) -> tuple[int, Any]:
        return 200, {"orders": [order for order in list(orders.values()) if order["customer"] == call.user]}

    def find(call: web.Call) -> dict[str, Any]:
        order = orders.get(call.parts["id"])
        if not order or order["customer"] != call.user:
            raise web.Problem(404, "no such order")
        return order

    def place(call: web.Call) -> tuple[int, Any]:
        cart = app.ask("cart", "GET", "/cart", call.user)
        if not cart["items"]:
            raise web.Problem(409, "the cart is empty")
        with app.lock:
            number = str(len(orders) + 1)
            orders[number] = {"id": number, "customer": call.user, "items": cart["items"],
                              "total_cents": cart["total_cents"], "state": "placed"}
        app.ask("cart", "DELETE", "/cart", call.user)
        return 201, orders[number]

    def pay(call: web.Call) -> tuple[int, Any]:
        card, order = call.need("card", str), find(call)
        if not (card.isdigit() and 12 <= len(card) <= 19):
            raise web.Problem(402, "the card was declined")
        with app.lock:
            if order["state"] == "paid":
                raise web.Problem(409, "the order is paid already")
            order["state"] = "paid"
        return 200, order

    app.on("GET", "/orders", listing)
    app.on("POST", "/orders", place)
    app.on("GET", "/orders/{id}", lambda call: (200, find(call)))
    app.on("POST", "/payments/{id}", pay)


if __name__ == "__main__":
    sys.exit(web.run("orders", ("orders", mount)))
