# `make demo` builds and runs the demonstration. `make test` builds all that the tests need, and runs the tests.

CARGO ?= cargo
# How many tests run at once.
TEST_THREADS ?= $(shell getconf _NPROCESSORS_ONLN)
# Seconds for each fuzz target.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS = request reply journal rules
FUZZ = $(CARGO) +nightly fuzz

# The number of seeds of the simulation, the first seed, and the number of processes that the chaos test kills.
SEEDS ?= 100000
FROM ?= 0
KILLS ?= 1000
# The number of measurements of each peer. BEFORE is an earlier qdemo, to compare paced runs with.
ROUNDS ?= 5
BEFORE ?=

# Where `make install` installs; DESTDIR is put before it, for packages. PROGRAM is a qdemo that is built already.
PREFIX ?= $(HOME)/.local
DESTDIR ?=
PROGRAM ?=
ROOT = $(DESTDIR)$(PREFIX)
COMMANDS = run timeline sweep bench learn producer consumer put get peek join close status failed rm help completions man
MAN_PAGES = qdemo $(addprefix qdemo-,$(COMMANDS))

.PHONY: help demo build install uninstall test test-slow test-rules test-all test-browser lint deny check-targets dist dist-musl dist-aarch64 dist-darwin dist-deb dist-wheel test-dist documents pictures count instructions profile sim chaos fuzz bench-peers bench-server bench-sim clean

help:
	@echo "make demo      build and run the demonstration (10 seconds)"
	@echo "make test      check format and lints, and run the tests, examples included"
	@echo "make test-all  make test, and the slow tests (some minutes more)"
	@echo "make test-rules  compare the rules on a server with those of a keeper in 10,000 random cases (minutes)"
	@echo "make test-browser  check the pictures in Chromium (installs Chromium with apt-get, if missing)"
	@echo "make check-targets  type-check for macOS and FreeBSD, on Debian (downloads 137 MB into target)"
	@echo "make deny      check licences, duplicates and sources of the dependencies"
	@echo "make dist      packages for Linux in target/dist, on Debian; alone: dist-musl, -aarch64, -darwin, -deb, -wheel"
	@echo "make test-dist try the packages of make dist in places of their own (as root)"
	@echo "make documents  write what the documents show of the program anew: options, transcripts, pictures"
	@echo "make pictures  draw the pictures in docs anew"
	@echo "make count     lines of code in src, without comments and tests"
	@echo "make instructions  count the instructions of the keeper's loop in valgrind (ACCEPT=1: accept the number)"
	@echo "make profile   instructions an item in keeper, producer and consumer, by function"
	@echo "make sim       run the simulation with $(SEEDS) seeds (SEEDS=N FROM=N; some minutes)"
	@echo "make chaos     kill $(KILLS) real processes (KILLS=N; a minute)"
	@echo "make fuzz      fuzz each target for $(FUZZ_SECONDS) seconds (FUZZ_SECONDS=N)"
	@echo "make bench-peers  compare qdemo with mp.Queue, redis, beanstalkd, xargs, … (ROUNDS=N GROUP=commands BEFORE=PROGRAM)"
	@echo "make bench-server  a queue on Redis beside bare Redis, RQ, Celery, BullMQ (ROUNDS=N GROUP=WORD BEFORE=PROGRAM)"
	@echo "make bench-sim  simulated runs beside SimPy and Ciw, 1,000 workers beside one, 10 million items (ROUNDS=N)"
	@echo "make build     build target/release/qdemo"
	@echo "make install   install qdemo, manual pages and completions for the current user (PREFIX=$(PREFIX))"
	@echo "make uninstall remove what make install has installed"
	@echo "make clean     remove all build results"

demo:
	@echo "Building qdemo (a minute or two the first time). Then a producer puts 5 items, one each second,"
	@echo "and a consumer takes two seconds for each of them: about 10 seconds."
	@$(MAKE) --no-print-directory build
	./target/release/qdemo run --items 5 --producer-delay 1s --consumer-delay 2s

build:
	$(CARGO) build --release --locked

install: $(if $(PROGRAM),,build)
	@QDEMO="$(or $(PROGRAM),target/release/qdemo)" tools/install.sh "$(ROOT)" $(MAN_PAGES)

uninstall:
	@tools/install.sh --remove "$(ROOT)" $(MAN_PAGES)

test: lint
	@command -v python3 > /dev/null || { echo "make test needs python3: one example is in Python" >&2; exit 1; }
	tests/suite/install.sh
	RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --locked

test-slow:
	$(CARGO) test --locked --test suite -- --ignored
	$(CARGO) test --locked --lib textbook -- --ignored --nocapture

# The rules on a server against those of a keeper: 10,000 random conversations.
test-rules:
	$(CARGO) test --locked --lib server::script -- --ignored

test-all: test test-slow test-rules

# Screenshots of the pictures are in target/pictures.
test-browser:
	tests/browser/install.sh
	$(CARGO) test --locked --test browser

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	$(CARGO) clippy --test browser --locked -- -D warnings

# After a change of an option or of a text. Read `git diff` then.
documents:
	QDEMO_RECORD=1 $(CARGO) test --locked --lib -- cli::reference the_schema
	QDEMO_RECORD=1 $(CARGO) test --locked --test suite -- documents:: pictures::

# docs/bench.svg is not among these: it shows measurements of one machine.
pictures:
	QDEMO_RECORD=1 $(CARGO) test --locked --test suite -- pictures::

count:
	@tools/count-lines.sh

check-targets:
	tools/check-targets.sh

deny:
	tools/deny.sh

# Without the program for macOS, which nobody has run.
dist:
	tools/dist/build.sh musl aarch64 deb wheel

dist-musl dist-aarch64 dist-darwin dist-deb dist-wheel:
	tools/dist/build.sh $(@:dist-%=%)

# Of the packages that `make dist` has made.
test-dist:
	tools/dist/test.sh

instructions:
	benches/instructions/count.sh $(if $(ACCEPT),accept)

profile: build
	benches/instructions/profile.py

sim:
	QDEMO_SIM_SEEDS=$(FROM)..$$(($(FROM) + $(SEEDS))) $(CARGO) test --release --locked --lib simulation:: -- --nocapture

chaos:
	QDEMO_CHAOS_KILLS=$(KILLS) $(CARGO) test --release --locked --test suite chaos:: -- --nocapture

# New inputs are in target/fuzz-corpus. Inputs that fail are in fuzz/artifacts.
fuzz:
	@$(FUZZ) --version > /dev/null 2>&1 || $(CARGO) install cargo-fuzz --locked
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p target/fuzz-corpus/$$target; \
		dict=fuzz/$$target.dict; \
		test -e $$dict && dict=-dict=$$dict || dict=; \
		$(FUZZ) run $$target target/fuzz-corpus/$$target fuzz/corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 $$dict || exit 1; \
	done

# Installs the peers that this user may install. The comparison reports each peer that it skips.
bench-peers: build
	benches/peers/install.sh
	PATH="$(CURDIR)/target/release:$$PATH" target/peers/bin/python benches/peers/compare.py --rounds $(ROUNDS) \
		$(if $(GROUP),--only $(GROUP)) $(if $(BEFORE),--before $(abspath $(BEFORE)))
	$(if $(GROUP),,$(MAKE) bench-server)

# Starts its own Redis servers, on Unix sockets. GROUP is a part of the bench: throughput, hand-over, consumers, memory, jobs,
# start (only with BEFORE, a qdemo without queues on a server).
bench-server:
	benches/peers/install.sh
	$(CARGO) bench --locked --bench server -- --rounds $(ROUNDS) $(if $(GROUP),--only $(GROUP)) \
		$(if $(BEFORE),--before $(abspath $(BEFORE)))

# Installs SimPy and Ciw in target/simulators.
bench-sim: build
	benches/sim/install.sh
	PATH="$(CURDIR)/target/release:$$PATH" target/simulators/bin/python benches/sim/compare.py --rounds $(ROUNDS)

clean:
	$(CARGO) clean
