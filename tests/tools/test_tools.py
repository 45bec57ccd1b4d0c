"""Each tool of tools/ on a small tree that is right and on one that is wrong."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"
MESON = "rooms = [\n  'base', 'net',\n  'proxy', 'policies',\n]\n"


@pytest.fixture
def tree(tmp_path):
    """Writes files: tree({"src/base/a.c": "..."}) returns the root."""

    def write(files):
        for path, content in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
        return tmp_path

    return write


def run(tool, *arguments, **environment):
    return subprocess.run([TOOLS / tool, *map(str, arguments)], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, env={**os.environ, **environment})


def complaints(tool, root, *arguments):
    done = run(tool, "--root", root, *arguments)
    lines = done.stderr.splitlines()
    assert done.returncode == (1 if lines else 0), done
    return lines


class TestLayers:
    def test_a_room_may_include_itself_and_the_rooms_before_it(self, tree):
        root = tree({
            "meson.build": MESON,
            "src/net/loop.c": '#include "net/loop.h"\n#include "base/list.h"\n#include <stdio.h>\n',
            "src/policies/cors.c": '#include "proxy/chain.h"\n',
            "src/main.c": '#include "policies/registry.def"\n',
        })
        assert complaints("check_layers", root) == []

    @pytest.mark.parametrize("line", ['#include "proxy/chain.h"', '  #  include "policies/x.h"', '#include "loop.h"',
                                      '#include "../net/loop.h"', '#include "nowhere/x.h"'])
    def test_other_includes_are_refused_with_their_line(self, tree, line):
        root = tree({"meson.build": MESON, "src/net/loop.c": f"/* head */\n{line}\n"})
        found = complaints("check_layers", root)
        assert len(found) == 1 and found[0].startswith("src/net/loop.c:2: ")

    def test_an_include_in_a_comment_does_not_count(self, tree):
        root = tree({"meson.build": MESON, "src/net/loop.c": '/*\n#include "proxy/chain.h"\n*/\n'})
        assert complaints("check_layers", root) == []

    def test_a_file_outside_the_rooms_is_refused(self, tree):
        root = tree({"meson.build": MESON, "src/cellar/x.c": "", "src/extra.c": ""})
        assert len(complaints("check_layers", root)) == 2

    def test_without_a_list_of_rooms_nothing_passes(self, tree):
        assert complaints("check_layers", tree({"meson.build": "", "src/base/a.c": ""}))


class TestBans:
    @pytest.mark.parametrize("code", ["strcpy(a, b);", "x = atoi (s);", "free(p);", "assert(x);", "defer(arena, free, p);",
                                      "return malloc(3);", "sprintf(a, b);", "f = strdup;"])
    def test_a_forbidden_function_is_named_with_its_line(self, tree, code):
        found = complaints("check_bans", tree({"src/net/a.c": f"/* x */\nvoid f(void)\n{{\n    {code}\n}}\n"}))
        assert len(found) == 1 and found[0].startswith("src/net/a.c:4: ")

    @pytest.mark.parametrize("code", ["memory_free(p);", "ops->free(x);", "ops.free(x);", "static_assert(1);", "/* free(p) */",
                                      's = "strcpy(a)";', "snprintf(a, 1, b);", "// gets(x)", "assert_true(x);",
                                      "void *f(void) __attribute__((malloc, warn_unused_result));"])
    def test_other_names_members_comments_and_strings_are_allowed(self, tree, code):
        assert complaints("check_bans", tree({"src/net/a.c": f"{code}\n", "tests/unit/a.c": f"{code}\n"})) == []

    def test_the_door_to_the_heap_may_use_the_heap_and_no_more(self, tree):
        assert complaints("check_bans", tree({"src/base/memory.c": "free(x); malloc(3);"})) == []
        assert len(complaints("check_bans", tree({"src/base/memory.c": "strcpy(x, y);"}))) == 1

    def test_tests_obey_too(self, tree):
        assert len(complaints("check_bans", tree({"tests/unit/test_a.c": "malloc(1);"}))) == 1


def function(lines):
    return "static int f(int a,\n             int b)\n{\n" + "    a++;\n" * (lines - 4) + "}\n"


class TestSizes:
    def test_functions_up_to_70_lines_pass(self, tree):
        assert complaints("check_sizes", tree({"src/a.c": "#define X \\\n  {\n" + function(70) * 3})) == []

    def test_a_function_of_71_lines_fails_and_is_named(self, tree):
        found = complaints("check_sizes", tree({"src/a.c": 'int table[] = {1, 2};\nconst char *s = "{";\n' + function(71)}))
        assert found == ["src/a.c:3: f() has 71 lines, more than 70"]

    def test_a_file_over_600_lines_says_why_at_its_head(self, tree):
        code = "int x;\n" * 650
        assert len(complaints("check_sizes", tree({"src/a.c": "/* A parser. */\n" + code}))) == 1
        assert complaints("check_sizes", tree({"src/a.c": "/* A parser; long because of its tables. */\n" + code})) == []
        assert len(complaints("check_sizes", tree({"src/a.c": "/* A parser. */\n/* long */\n" + code}))) == 1

    def test_a_file_over_1000_lines_fails_whatever_it_says(self, tree):
        assert len(complaints("check_sizes", tree({"tools/a.py": '"""Very long."""\n' + "x = 1\n" * 1000}))) == 1

    def test_the_longest_are_listed(self, tree):
        done = run("check_sizes", "--root", tree({"src/a.c": function(30)}), "--longest", 1)
        assert done.stdout.split("\n")[:2] == ["   30 src/a.c", "   30 src/a.c:1 f()"]


class TestFormat:
    GOOD = "int f(void)\n{\n    return 1;\n}\n"

    @pytest.fixture(autouse=True)
    def needs_clang_format(self):
        if subprocess.run(["which", "clang-format-14"], capture_output=True, check=False).returncode:
            pytest.skip("clang-format-14 is not installed")

    def test_formatted_code_passes_and_other_code_fails(self, tree):
        style = (ROOT / ".clang-format").read_text()
        assert run("check_format", "--root", tree({".clang-format": style, "src/a.c": self.GOOD})).returncode == 0
        root = tree({"tests/unit/b.c": "int  f( void ) { return 1; }\n"})
        assert run("check_format", "--root", root).returncode == 1
        assert run("check_format", "--root", root, "--fix").returncode == 0
        assert (root / "tests/unit/b.c").read_text() == self.GOOD


class TestCommits:
    @pytest.fixture
    def repository(self, tmp_path):
        def git(*words):
            identity = ["-c", "user.name=Test", "-c", "user.email=test@test.example", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", "-C", tmp_path, *identity, *words], check=True, capture_output=True)

        def commit(subject):
            git("commit", "--allow-empty", "--no-verify", "-m", subject)

        git("init", "-b", "main")
        commit("whatever came before")
        git("tag", "base")
        return tmp_path, commit

    def test_good_subjects_pass(self, repository):
        root, commit = repository
        for subject in ("base: text_split keeps empty parts", "http, proxy: trailers pass both ways", "policies/jwt: accept EdDSA"):
            commit(subject)
        assert complaints("check_commits", root, "base") == []

    @pytest.mark.parametrize("subject", ["Fix things", "base:no space", "base: ends with a stop.", "base: " + "x" * 67, "WIP"])
    def test_bad_subjects_fail(self, repository, subject):
        root, commit = repository
        commit(subject)
        assert len(complaints("check_commits", root, "base")) == 1

    def test_an_unknown_base_fails(self, repository):
        assert complaints("check_commits", repository[0], "nowhere")


class TestWords:
    LIST = {"tools/forbidden-words.txt": "# comment\n\\bunicorns?\\b\n"}

    def test_the_place_of_a_forbidden_word_is_named(self, tree):
        found = complaints("check_words", tree({**self.LIST, "docs/a.md": "fine\nTwo Unicorns\n"}))
        assert len(found) == 1 and found[0].startswith("docs/a.md:2: 'Unicorns'")

    def test_other_words_and_files_that_are_no_text_pass(self, tree):
        root = tree({**self.LIST, "a.md": "tunicorn\n", "build/x.md": "unicorn\n"})
        (root / "picture.bin").write_bytes(b"\0unicorn")
        assert complaints("check_words", root) == []

    def test_the_list_of_this_tree_is_valid_and_catches_paths(self, tree):
        root = tree({"tools/forbidden-words.txt": (TOOLS / "forbidden-words.txt").read_text()})
        assert complaints("check_words", root) == []
        tree({"a.md": "see /wo" "rk/here\n"})
        assert len(complaints("check_words", root)) == 1


class TestScripts:
    def test_scripts_that_parse_pass(self, tree):
        root = tree({"tools/a": "#!/bin/bash\necho hi\n", "tools/b": "#!/usr/bin/python3\nx = 1\n", "tests/c.py": "y = 2\n"})
        for name in ("tools/a", "tools/b"):
            (root / name).chmod(0o755)
        assert complaints("check_scripts", root) == []

    @pytest.mark.parametrize("content", ["#!/bin/bash\nif true; then\n", "#!/usr/bin/python3\nx = = 1\n",
                                         "#!/usr/bin/env python3\nx = 1\n", "#!/bin/sh\necho\n"])
    def test_scripts_that_do_not_parse_or_start_otherwise_fail(self, tree, content):
        root = tree({"tools/a": content})
        (root / "tools/a").chmod(0o755)
        assert complaints("check_scripts", root)

    def test_a_script_that_cannot_be_run_fails(self, tree):
        assert complaints("check_scripts", tree({"tools/a": "#!/bin/bash\n"})) == ["tools/a: a script that is not executable"]


class TestGenerate:
    LIST = {"tools/generated.txt": "# list\ndocs/one.md: cp source {out}\ndocs/many/: cp source {out}/a.md\n", "source": "new\n"}

    def test_writing_makes_the_check_pass_and_removes_strays(self, tree):
        root = tree({**self.LIST, "docs/one.md": "old\n", "docs/many/stray.md": "x\n"})
        assert len(complaints("generate", root, "--check")) == 3
        assert complaints("generate", root) == []
        assert (root / "docs/one.md").read_text() == "new\n" and os.listdir(root / "docs/many") == ["a.md"]
        assert complaints("generate", root, "--check") == []

    def test_one_command_may_write_several_paths(self, tree):
        root = tree({"tools/generated.txt": "docs/one.md docs/many/: cp -r made/. {out}\n", "made/one.md": "new\n",
                     "made/many/a.md": "a\n", "docs/other.md": "kept\n"})
        assert len(complaints("generate", root, "--check")) == 2
        assert complaints("generate", root) == []
        assert (root / "docs/one.md").read_text() == "new\n" and (root / "docs/many/a.md").read_text() == "a\n"
        assert (root / "docs/other.md").exists() and complaints("generate", root, "--check") == []

    def test_a_command_that_fails_is_a_failure(self, tree):
        root = tree({"tools/generated.txt": "docs/one.md: false\n"})
        assert len(complaints("generate", root, "--check")) == 1


class TestCountTests:
    @staticmethod
    def meson(*runs):
        return "".join(json.dumps({"name": n, "stdout": out, "result": result}) + "\n" for n, out, result in runs)

    def counts(self, *paths):
        done = run("count_tests", *paths)
        return done.stdout.splitlines()[-1], done.returncode

    def test_unit_tests_and_pytest_are_summed(self, tree):
        root = tree({
            "log.json": self.meson(("a", "1..3\nok 1 - x\nok 2 - y\nok 3 - z # SKIP\n", "OK"), ("replay", "12 inputs\n", "OK")),
            "py.xml": '<testsuites><testsuite><testcase/><testcase><skipped/></testcase></testsuite></testsuites>',
        })
        assert self.counts(root / "log.json", root / "py.xml") == ("4 passed, 0 failed, 2 skipped", 0)

    @pytest.mark.parametrize("stdout, result, expected", [
        ("1..2\nok 1 - x\nnot ok 2 - y\n# why\n", "FAIL", "1 passed, 1 failed, 0 skipped"),
        ("1..2\nok 1 - x\nok 2 - y\n", "ERROR", "2 passed, 1 failed, 0 skipped"),
        ("1..2\nok 1 - x\n", "TIMEOUT", "1 passed, 1 failed, 0 skipped"),
        ("", "FAIL", "0 passed, 1 failed, 0 skipped"),
    ])
    def test_what_fails_crashes_leaks_or_hangs_counts(self, tree, stdout, result, expected):
        assert self.counts(tree({"log.json": self.meson(("a", stdout, result))}) / "log.json") == (expected, 1)

    def test_failures_of_pytest_count(self, tree):
        root = tree({"py.xml": "<s><testcase><failure/></testcase><testcase><error/></testcase><testcase/></s>"})
        assert self.counts(root / "py.xml") == ("1 passed, 2 failed, 0 skipped", 1)

    def test_a_missing_file_and_no_tests_at_all_fail(self, tree):
        root = tree({"py.xml": "<s/>"})
        assert self.counts(root / "nowhere.xml") == ("0 passed, 1 failed, 0 skipped", 1)
        assert self.counts(root / "py.xml") == ("0 passed, 0 failed, 0 skipped", 1)


class TestInstallPackages:
    LIST = "# list\n[build]\nbash\ncoreutils\n\n[test]\n# no such package\nturnpike-no-such-package\nbash\n"

    def missing(self, tree, *sections):
        return run("install-packages", "--missing", *sections, PACKAGES_FILE=str(tree({"list": self.LIST}) / "list"))

    def test_nothing_is_said_when_nothing_is_missing(self, tree):
        done = self.missing(tree, "build")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_what_is_missing_is_named_once(self, tree):
        assert self.missing(tree, "test", "build", "test").stdout == "turnpike-no-such-package\n"

    def test_an_unknown_section_and_no_section_are_errors(self, tree):
        assert "no section [deploy]" in self.missing(tree, "deploy").stderr
        assert self.missing(tree).returncode == 1

    def test_without_root_and_sudo_it_says_what_to_do(self, tree, tmp_path):
        tools = tmp_path / "bin"
        tools.mkdir()
        for name in ("bash", "grep", "awk", "sort", "dpkg-query", "dirname"):
            (tools / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())
        (tools / "id").write_text("#!/bin/bash\necho 1000\n")
        (tools / "id").chmod(0o755)
        done = run("install-packages", "test", PACKAGES_FILE=str(tree({"list": self.LIST}) / "list"), PATH=str(tools))
        assert done.returncode == 1
        assert "needs root or sudo" in done.stderr and "turnpike-no-such-package" in done.stderr

    def test_the_list_of_this_tree_has_the_sections_that_make_names(self):
        lists = (ROOT / "packages.txt").read_text()
        assert all(f"[{section}]\n" in lists for section in ("build", "run", "test", "check", "bench"))


class TestReplay:
    @pytest.fixture
    def replay(self):
        build = Path(os.environ.get("BUILD", ROOT / "build-test"))
        program = build / "tests" / "fuzz" / "replay_text"
        if not program.exists():
            pytest.fail(f"{program} is not built")
        return program

    def test_a_folder_without_inputs_fails(self, replay, tmp_path):
        assert subprocess.run([replay, tmp_path], capture_output=True, check=False).returncode == 1
        assert subprocess.run([replay], capture_output=True, check=False).returncode == 1

    def test_inputs_are_counted(self, replay, tmp_path):
        (tmp_path / "one").write_bytes(b"1m30s")
        (tmp_path / "empty").write_bytes(b"")
        assert subprocess.check_output([replay, tmp_path]) == b"2 inputs\n"
