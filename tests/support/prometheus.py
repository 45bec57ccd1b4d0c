"""The Prometheus text format, as far as tests read it."""

from __future__ import annotations

import re

Sample = tuple[str, tuple[tuple[str, str], ...]]

LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)(?: [0-9]+)?\Z')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(?:,|\Z)')


class Metrics(dict[Sample, float]):
    """Samples by name and labels."""

    def value(self, name: str, **labels: str) -> float:
        """The sum of all samples with that name and at least these labels; 0 if there is none."""
        return sum(value for (key, pairs),
                   value in self.items() if key == name and labels.items() <= dict(pairs).items())

    def labels(self, name: str, label: str) -> set[str]:
        """The values that the label has in the samples with that name."""
        return {dict(pairs)[label] for key, pairs in self if key == name and label in dict(pairs)}

    def names(self) -> set[str]:
        return {name for name, _ in self}


def parse_metrics(text: str) -> Metrics:
    """Parse, and fail on whatever the format does not allow."""
    metrics = Metrics()
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = LINE.match(line)
        assert match, f"not a sample: {line!r}"
        labels = match[2] or ""
        pairs = LABEL.findall(labels)
        assert "".join(f'{name}="{value}",' for name,
                       value in pairs).rstrip(",") == labels.rstrip(","), f"labels: {line!r}"
        key = (match[1], tuple(sorted(pairs)))
        assert key not in metrics, f"the sample comes twice: {line!r}"
        metrics[key] = float(match[3])
    return metrics
