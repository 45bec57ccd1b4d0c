# The front door of the tree: `make help` lists the targets. The work is done by meson and the scripts in tools/.

.DEFAULT_GOAL := build
SHELL         := /bin/bash
MAKEFLAGS     += --no-print-directory

PREFIX       ?= /usr/local
FUZZ_SECONDS ?= 60
JOBS         ?=
PYTEST       ?=

NINJA := ninja $(if $(JOBS),-j$(JOBS))
# Address space randomisation of newer kernels is too wide for ThreadSanitizer of gcc 12.
NOT_RANDOM := setarch $(shell uname -m) -R

OPTIONS_build       := --buildtype=debugoptimized -Db_lto=true -Dtests=false
OPTIONS_build-check := --buildtype=debugoptimized -Dwerror=true
OPTIONS_build-test  := -Ddebug=true -Doptimization=1 -Db_sanitize=address,undefined \
                       -Dc_args=-fno-sanitize-recover=all
OPTIONS_build-tsan  := -Ddebug=true -Doptimization=1 -Db_sanitize=thread
OPTIONS_build-fuzz  := -Ddebug=true -Doptimization=1 -Dfuzz=true -Dtests=false -Db_sanitize=address,undefined -Db_lundef=false \
                       -Dc_args=-fno-sanitize-recover=all
COMPILER_build-fuzz := clang

.PHONY: build run test check bench fuzz tsan format generate install package clean help

# A build folder; made again in place when its options may have changed.
FOLDERS := build build-check build-test build-tsan build-fuzz
$(FOLDERS:%=%/build.ninja): %/build.ninja: Makefile meson_options.txt
	@command -v meson ninja >/dev/null || { echo "meson and ninja are missing; run: tools/install-packages build"; exit 1; }
	@CC=$(or $(COMPILER_$*),gcc) meson setup $(if $(wildcard $@),--reconfigure) $(OPTIONS_$*) $* </dev/null
	@touch $@

build: build/build.ninja                         ## build/turnpike: optimised, with link-time optimisation and debug symbols
	@$(NINJA) -C build

run:                                             ## install what is missing, build, and start the shop example
	@tools/install-packages build run
	@$(MAKE) -s build
	@BUILD=build examples/shop/run

test:                                            ## every test, with AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/install-packages build test
	@$(MAKE) -s build-test/build.ninja
	@$(NINJA) -C build-test
	@tools/run_tests build-test $(PYTEST)

check:                                           ## format, warnings, layers, bans, sizes, words, scripts, generated files
	@tools/install-packages build check
	@$(MAKE) -s build-check/build.ninja
	@tools/run_checks build-check

bench: build                                     ## compare with nginx and HAProxy in one run
	@tools/install-packages bench
	@BUILD=build tests/bench/run

fuzz:                                            ## run each fuzz target for FUZZ_SECONDS (FUZZ=NAME for one)
	@tools/install-packages build test
	@$(MAKE) -s build-fuzz/build.ninja
	@$(NINJA) -C build-fuzz fuzzers
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/run_fuzz build-fuzz $(FUZZ)

tsan:                                            ## the tests that cross threads, with ThreadSanitizer
	@tools/install-packages build test
	@$(MAKE) -s build-tsan/build.ninja
	@$(NINJA) -C build-tsan
	@$(NOT_RANDOM) tools/run_tests build-tsan --threads $(PYTEST)

format:                                          ## format the C sources
	@tools/install-packages check
	@tools/check_format --fix

generate: build                                  ## write the generated files of the tree again
	@tools/generate --build build

install: build                                   ## install to $(DESTDIR)$(PREFIX), /usr/local by default
	@install -D -m 755 build/turnpike $(DESTDIR)$(PREFIX)/bin/turnpike

package: build                                   ## build/turnpike_VERSION_ARCHITECTURE.deb
	@tools/install-packages package
	@tools/package build/turnpike build

clean:                                           ## remove the build folders
	@rm -rf $(FOLDERS)

help:                                            ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 12
