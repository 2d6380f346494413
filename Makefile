# Every command a developer needs. `make run` and `make test` are the README's two.
SHELL := /bin/bash
CARGO ?= cargo
TANDEM := $(or $(CARGO_TARGET_DIR),target)/debug/tandem

.PHONY: help run build release test lint fmt e2e slow fuzz docs bench bench-peers soak flood spray kill-loop recordings-kill rental schemathesis clean-data

help: ## Show these targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

run: ## Install what is missing, build, start a phone company, make one call each way, stay up
	@scripts/install run
	@scripts/build
	@$(TANDEM) demo --stay --data data

build: ## Build the one binary
	@scripts/build

release: ## The binary to ship: optimised as a whole, by the profile of real calls (builds twice the first time)
	@scripts/install bench
	@scripts/release

test: ## fmt, clippy, unit, property, both databases, end to end, a short kill loop, docs freshness
	@scripts/install test
	@scripts/test

lint: ## Formatting and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features -- -D warnings

fmt: ## Format everything
	$(CARGO) fmt --all

e2e: ## Only the end-to-end tests (sipp as PBX and carrier, both databases)
	@scripts/install test
	$(CARGO) test -p tandem-cli --test e2e

slow: ## Tests too slow for every change: idle phones behind a router, the KYC page in Chromium, load of the simulator, cost of a call
	@scripts/install slow
	$(CARGO) test --workspace -- --ignored

fuzz: ## Fuzz what comes over the wire, FUZZ_SECONDS=600 per target; installs cargo-fuzz and nightly if missing
	@scripts/fuzz $(TARGETS)

docs: ## Regenerate docs/reference from the code
	$(CARGO) run -q -- docs --out docs/reference

bench: ## Rows and CPU per call, memory per call, beside the peers' recorded figures
	@scripts/install bench
	@bench/run

bench-peers: ## The same with Kamailio and rtpengine measured in the same run, so that the machine of the day can be told
	@scripts/install bench-peers
	@bench/run --peers

soak: ## Ten minutes at 50 calls a second: memory flat, nothing left over; SOAK_MINUTES=60 for longer
	@scripts/install bench
	@bench/soak

flood: ## A minute of 20,000 messages a second from strangers while good trunks call; FLOOD_SECONDS=5 for shorter
	@scripts/install bench
	@bench/flood

spray: ## A minute of 20,000 RTP packets a second from a stranger over the port range while 50 calls talk
	@scripts/install bench
	@bench/spray

schemathesis: build ## Everything /openapi.json allows and much that it does not, asked of a fresh server; SCHEMATHESIS_EXAMPLES=30
	@scripts/schemathesis

kill-loop: ## The long kill -9 loop: KILLS=50 RATE=20 make kill-loop; FAULT=ack-before-commit must fail
	@scripts/install test
	@scripts/kill-loop

recordings-kill: ## kill -9 while calls are recorded, at random instants: KILLS=50 SEED=7
	@scripts/install test
	KILLS=$${KILLS:-50} $(CARGO) test -q -p tandem-cli --test e2e recordings::a_recording_survives -- --nocapture

rental: ## Three months of 10,000 numbers, killed at every step: NUMBERS=10000 KILLS=8 DATABASE=postgres make rental
	@scripts/install test
	NUMBERS=$${NUMBERS:-10000} KILLS=$${KILLS:-8} $(CARGO) test -q -p tandem-cli --test rental -- --nocapture

clean-data: ## Forget the demo's data
	rm -rf data
