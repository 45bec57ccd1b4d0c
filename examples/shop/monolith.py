#!/usr/bin/python3
"""The whole shop in one process: the same operations as the four services."""

from __future__ import annotations

import sys

import cart
import catalogue
import orders
import users
import web

if __name__ == "__main__":
    sys.exit(web.run("monolith", ("users", users.mount), ("catalogue", catalogue.mount), ("cart", cart.mount),
                     ("orders", orders.mount)))
