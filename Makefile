# make demo      install what is missing, build, run jobs/train.json from start to end on a simulated cloud on this computer
# make test      install what is missing, then check the format, build everything and run every test
# make test-cluster
#                run real Open MPI and Ray on three simulated machines with networks of their own; as root
# make torture SEEDS=1000000
#                run the shipped driver in virtual time, one job with its faults for each seed
# make mutants   let that catch 49 ways to write the protocol wrong
# make torture-real N=1000
#                kill, hurt and cut the release programs in N runs, and print what went wrong: nothing may
# make bench     time the release beside OpenSSH's clients and rsync; QUICK=1: smaller, and no page is written
# make bench-startup
#                time fcrun --help and fcrun ps beside other programs that rent machines; QUICK=1: no page is written
# make docs      the pages of the ForwardCompute library, into .build/docs
# make build     build for development (debug) only
# make release   build the two programs for use
# make install   put them into $(DESTDIR)$(PREFIX)/bin, PREFIX=/usr/local if not given
# make clean     remove .build
#
# All that is needed before is Swift 6.2 or newer and, where packages are missing, the right to install them (root or sudo).

PREFIX ?= /usr/local
SWIFT ?= swift

# The build enforces which target may import which: see docs/architecture.md.
ARROWS = --explicit-target-dependency-import-check error
# On Linux Swift's libraries go into the programs, so that they also run where no Swift is installed.
STATIC = $(if $(filter Linux,$(shell uname -s)),--static-swift-stdlib)

APT = git pkg-config libssh2-1-dev libsqlite3-dev zlib1g-dev openssh-client
BREW = pkgconf libssh2

# Where the tools beside swift are found.
TOOL = $(if $(filter Darwin,$(shell uname -s)),xcrun)

SHELL = /bin/bash

.PHONY: help demo test build release install clean deps swift

help:
	@sed -n '/^#/!q;s/^#[[:space:]]\{0,1\}//p' "$(firstword $(MAKEFILE_LIST))"

# Each simulated machine is an sshd.
demo test torture-real: APT += openssh-server
# What the completion scripts are for.
test: APT += zsh fish
# Kills and errors at a system call; left out, loudly, where it is missing.
test torture-real: APT += strace

# A debug build is ready in half the time, and a job waits for machines, not for fcrun.
demo: build
	@set -eu; \
	export FCRUN_HOME; FCRUN_HOME=$$(mktemp -d "$(CURDIR)/.build/demo.XXXXXX"); \
	fcrun() { printf '\n$$ fcrun %s\n' "$$*"; "$(CURDIR)/.build/debug/fcrun" "$$@"; }; \
	fcrun submit --local jobs/train.json; \
	fcrun logs train; \
	fcrun ps -a; \
	fcrun reap --local --dry-run

test: build-tests
	@set -euo pipefail; \
	log=$$(mktemp); FCRUN_FAULT_LEDGER=$$(mktemp); export FCRUN_FAULT_LEDGER; \
	trap 'rm -f "$$log" "$$FCRUN_FAULT_LEDGER"' EXIT; \
	$(if $(CI),export FCRUN_REQUIRE_SSHD=1;) \
	$(SWIFT) test $(ARROWS) --skip fcrunTests --skip RunnerTests </dev/null 2>&1 | tee "$$log"; \
	FCRUN_SIM_SECONDS=110 $(SWIFT) test $(ARROWS) --skip-build --filter RunnerTests </dev/null 2>&1 | tee -a "$$log"; \
	$(SWIFT) test $(ARROWS) --skip-build --filter fcrunTests </dev/null 2>&1 | tee -a "$$log"; \
	FCRUN_FAULT_LEDGER_JUDGED=$$FCRUN_FAULT_LEDGER \
	  $(SWIFT) test $(ARROWS) --skip-build --filter everyFaultHasATestThatRan </dev/null 2>&1 | tee -a "$$log"; \
	[ "$$(grep -Ec 'Test run with [1-9][0-9]* test' "$$log")" = 4 ] || { echo 'make test: a part of the tests did not run' >&2; exit 1; }

# What engines need, outside of this folder; a wheel of PyTorch, where there is one: make test-cluster TORCH=torch-2.13.0+cpu-….whl
CLUSTER ?= /opt/fcrun-cluster
RAY ?= 2.60.0
TORCH ?=

.PHONY: test-cluster
test-cluster: APT += openssh-server iproute2 openmpi-bin libopenmpi-dev python3-venv
test-cluster: build-tests
	@[ "$$(id -u)" = 0 ] || { echo 'make test-cluster makes network namespaces: run it as root' >&2; exit 1; }
	[ -x $(CLUSTER)/ray/bin/ray ] || { /usr/bin/python3 -m venv $(CLUSTER)/ray && $(CLUSTER)/ray/bin/pip install -q ray==$(RAY); }
	[ -z '$(TORCH)' ] || [ -x $(CLUSTER)/torch/bin/torchrun ] || \
	  { /usr/bin/python3 -m venv $(CLUSTER)/torch && $(CLUSTER)/torch/bin/pip install -q '$(TORCH)'; }
	FCRUN_TEST_RAY=$(CLUSTER)/ray/bin \
	FCRUN_TEST_TORCH=$$([ ! -x $(CLUSTER)/torch/bin/torchrun ] || echo $(CLUSTER)/torch/bin) \
	  $(SWIFT) test $(ARROWS) --skip-build --filter EngineJobTests </dev/null

SEEDS ?= 1000000

# The shipped driver in virtual time; what a seed breaks is replayed with .build/release/torture replay SEED --shrink.
.PHONY: torture
torture: deps
	$(SWIFT) build -c release $(STATIC) $(ARROWS) --product torture
	.build/release/torture seeds --count $(SEEDS) --from $(SEED)

# A copy of the sources with every mutant as a switch in it, built once beside its own dependencies.
.PHONY: mutants
mutants: build
	.build/debug/torture mutate .build/mutants
	$(SWIFT) build -c release --package-path .build/mutants $(ARROWS) --product torture
	.build/mutants/.build/release/torture mutants

N ?= 1000
SEED ?= 1
JOBS ?= 4

# The programs as they are shipped: no failpoints in them, so they are killed at times and at system calls.
.PHONY: torture-real
torture-real: release
	$(SWIFT) build -c release $(STATIC) $(ARROWS) --product torture
	@grep -q FCRUN_FAILPOINT .build/release/fcrun; [ $$? = 1 ] || { echo 'the release has failpoints in it' >&2; exit 1; }
	.build/release/torture real --count $(N) --seed $(SEED) --jobs $(JOBS)

# The release beside OpenSSH's clients and rsync; QUICK=1: smaller, and no page is written.
.PHONY: bench
bench: APT += openssh-server rsync
bench: release
	$(SWIFT) build -c release $(STATIC) $(ARROWS) --product bench
	FCRUN_BIN_DIR=.build/release .build/release/bench $(if $(QUICK),--quick,--write)

# The pages of the ForwardCompute library, to be read with: python3 -m http.server -d .build/docs
# A link that leads nowhere is an error.
.PHONY: docs
docs: build
	rm -rf .build/docs .build/symbols && mkdir -p .build/symbols
	maps=$$(ls .build/debug/*.build/module.modulemap .build/checkouts/*/Sources/*/include/module.modulemap); \
	$(TOOL) swift-symbolgraph-extract -module-name ForwardCompute -minimum-access-level public -output-dir .build/symbols \
	  -target "$$($(SWIFT)c -print-target-info | sed -n 's/.*"triple": "\(.*\)".*/\1/p' | head -1)" -I .build/debug/Modules \
	  $$(printf ' -Xcc -fmodule-map-file=%s' $$maps)
	$(TOOL) docc convert Sources/ForwardCompute/ForwardCompute.docc --additional-symbol-graph-dir .build/symbols \
	  --output-dir .build/docs --warnings-as-errors --disable-parameters-and-returns-validation

# Which programs are compared: Benchmarks/startup.sh.
.PHONY: bench-startup
bench-startup: APT += openssh-server python3-venv
bench-startup: release
	WRITE=$(if $(QUICK),,1) ROUNDS=$(if $(QUICK),5,21) Benchmarks/startup.sh

.PHONY: build-tests
build-tests: deps
	$(SWIFT) format lint --strict -r Sources Tests Benchmarks Examples Package.swift
	$(SWIFT) build --build-tests $(ARROWS)

build: deps
	$(SWIFT) build $(ARROWS)

release: deps
	$(SWIFT) build -c release $(STATIC) $(ARROWS) --product fcrun
	$(SWIFT) build -c release $(STATIC) $(ARROWS) --product fcrun-ssh

install: release
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 .build/release/fcrun .build/release/fcrun-ssh "$(DESTDIR)$(PREFIX)/bin"
	strip "$(DESTDIR)$(PREFIX)/bin/fcrun" "$(DESTDIR)$(PREFIX)/bin/fcrun-ssh"
	.build/release/fcrun manual --man "$(DESTDIR)$(PREFIX)/share/man/man1"
	install -d "$(DESTDIR)$(PREFIX)/share/bash-completion/completions" "$(DESTDIR)$(PREFIX)/share/zsh/site-functions" \
	  "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d"
	.build/release/fcrun completion bash >"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/fcrun"
	.build/release/fcrun completion zsh >"$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_fcrun"
	.build/release/fcrun completion fish >"$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/fcrun.fish"

clean:
	rm -rf .build

swift:
	@command -v "$(SWIFT)" >/dev/null || { \
	  echo 'Swift is not installed, or not in PATH: get 6.2 or newer from https://www.swift.org/install' >&2; exit 1; }

# Asks for nothing, and for no network, where everything is there.
deps: swift
	@set -eu; \
	if command -v apt-get >/dev/null; then \
	  missing=; \
	  for package in $(APT); do \
	    dpkg -s "$$package" 2>/dev/null | grep -q '^Status: .* installed$$' || missing="$$missing $$package"; \
	  done; \
	  [ -n "$$missing" ] || exit 0; \
	  echo "installing$$missing" >&2; \
	  as_root=env; \
	  if [ "$$(id -u)" != 0 ]; then \
	    command -v sudo >/dev/null || { echo "run this as root first: apt-get update && apt-get install$$missing" >&2; exit 1; }; \
	    as_root='sudo env'; \
	  fi; \
	  $$as_root apt-get update -q </dev/null; \
	  $$as_root DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing </dev/null; \
	  case "$$missing" in *openssh-server*) [ ! -d /run/systemd/system ] || \
	    echo 'openssh-server started the system sshd too; nothing here needs it: sudo systemctl disable --now ssh' >&2;; esac; \
	elif command -v brew >/dev/null; then \
	  for package in $(BREW); do brew list --formula "$$package" >/dev/null 2>&1 || brew install "$$package"; done; \
	else \
	  echo 'neither apt-get nor brew is here: if the build fails, install libssh2 and SQLite with headers, pkg-config, OpenSSH' >&2; \
	fi
