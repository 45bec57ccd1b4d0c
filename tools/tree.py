"""What the checks share: the files of the tree, and C source without its comments, strings and directives."""

import argparse
import os
import re
import sys

SKIPPED = {".git", "node_modules", "__pycache__", ".pytest_cache", ".hypothesis"}
COMMENT_OR_LITERAL = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)


def arguments(purpose):
    """The command line that all checks have: --root DIR."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--root", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    return parser


def files(root, folders=(".",), suffixes=None):
    """Paths relative to `root`, in order; build folders and caches are left out."""
    found = []
    for folder in folders:
        for place, below, names in os.walk(os.path.join(root, folder)):
            here = os.path.relpath(place, root)
            below[:] = [b for b in below if b not in SKIPPED and not (here == "." and b.startswith("build"))]
            for name in names:
                if suffixes is None or name.endswith(tuple(suffixes)):
                    found.append(os.path.normpath(os.path.join(here, name)))
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def without_comments(source):
    """The same number of lines; literals stay."""
    return COMMENT_OR_LITERAL.sub(lambda m: blank(m) if m.group()[0] == "/" else m.group(), source)


def bare(source):
    """Without comments and literals, with directives; the same number of lines."""
    return COMMENT_OR_LITERAL.sub(blank, source)


def without_directives(bare_source):
    return DIRECTIVE.sub(blank, bare_source)


def line_of(source, offset):
    return source.count("\n", 0, offset) + 1


def report(complaints):
    """Prints the complaints and ends with the status that make expects."""
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    sys.exit(1 if complaints else 0)
