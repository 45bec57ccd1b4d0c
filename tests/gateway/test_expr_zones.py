"""Time zones of expressions against another reader of the same database: Python's."""

from __future__ import annotations

import json
import random
import zoneinfo
from datetime import datetime, timezone

from support.binary import turnpike

EXPRESSION = """zones.map(z, instants.map(t, cel.bind(at, timestamp(t),
    [at.getFullYear(z), at.getMonth(z) + 1, at.getDate(z), at.getHours(z), at.getMinutes(z), at.getSeconds(z)])))"""


def database_zones() -> list[str]:
    """Names that Python finds where Turnpike looks; not those that only a Python package may bring."""
    paths = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=["/usr/share/zoneinfo"])
    names = {name for name in zoneinfo.available_timezones() if name != "localtime"}
    zoneinfo.reset_tzpath(to=paths)
    return sorted(names)


def evaluate(zones: list[str], instants: list[int]) -> list[list[list[int]]]:
    context = json.dumps({"zones": zones, "instants": instants})
    done = turnpike("expr", "--json", "--context", "-", EXPRESSION, stdin=context)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["value"]


def test_every_zone_agrees_at_any_time() -> None:
    dice = random.Random(6)
    years = [int(datetime(year, 1, 1, tzinfo=timezone.utc).timestamp()) for year in (1890, 1950, 2007, 2037, 2120)]
    instants = [dice.randrange(years[i], years[i + 1]) for i in range(4) for _ in range(15)]
    zones = database_zones()
    assert len(zones) > 400
    for first in range(0, len(zones), 100):
        part = zones[first : first + 100]
        for zone, dates in zip(part, evaluate(part, instants), strict=True):
            place = zoneinfo.ZoneInfo(zone)
            for instant, found in zip(instants, dates, strict=True):
                local = datetime.fromtimestamp(instant, place)
                wanted = [local.year, local.month, local.day, local.hour, local.minute, local.second]
                assert found == wanted, f"{zone} at {instant}"
