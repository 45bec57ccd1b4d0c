#!/usr/bin/python3
"""Catalogue: the products, their prices and how many are in stock."""

from __future__ import annotations

import sys
from typing import Any

import web

PRODUCTS = [("kettle", 2490, 12), ("teapot", 3450, 5), ("cup", 690, 80), ("saucer", 350, 75), ("tea towel", 890, 0)]


def mount(app: web.App) -> None:
    products = {str(number): {"id": str(number), "name": name, "price_cents": price, "stock": stock}
                for number, (name, price, stock) in enumerate(PRODUCTS, 1)}

    def listing(call: web.Call) -> tuple[int, Any]:
        wanted = call.query.get("name", "")
        return 200, {"products": [product for product in products.values() if wanted in str(product["name"])]}

    def details(call: web.Call) -> tuple[int, Any]:
        if call.parts["id"] not in products:
            raise web.Problem(404, "no such product")
        return 200, products[call.parts["id"]]

    app.on("GET", "/products", listing)
    app.on("GET", "/products/{id}", details)


if __name__ == "__main__":
    sys.exit(web.run("catalogue", ("catalogue", mount)))
