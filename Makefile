# Each target installs what is missing, then does its one job. Nothing else is needed.
#   make demo [ARGS="--no-serve --json"]   the demo company, real questions, then the server
#   make test                              every test, with services of its own (scripts/services)
#   make check                             what must hold before a commit
#   make build                             target/release/assay
#   make ui                                the web UI, which every target builds that needs it
#   make bench                             speed, in one table
#   make api-check                         the HTTP interface tried with requests made from its description
#   make eval [EVAL_DIR=...]               execution accuracy with the local model, beside the bare prompt
.PHONY: demo test check build bench eval model setup audit api-check test-long clean ui

ASSAY := target/release/assay
EVAL_DIR ?= $(wildcard ../shared/eval/dev)
ARGS ?=

build: setup ui
	@cargo build --release --package server

# The model is fetched while cargo builds; then it is joined and checked.
model: setup ui
	@scripts/setup model
	@scripts/prefetch-model & cargo build --release --package server; built=$$?; wait; exit $$built
	@$(ASSAY) model pull

# The web UI, which is embedded in the program.
ui:
	@scripts/ui build

demo: model
	@$(ASSAY) demo $(ARGS)

# Every crate is built at once: one set of features, one build of llama.cpp.
test: setup ui
	@scripts/setup model
	@scripts/setup test
	@scripts/prefetch-model & cargo test --release --workspace --no-run; built=$$?; wait; exit $$built
	@$(ASSAY) model pull
	@REQUIRE_SERVICES=1 scripts/services run cargo test --release --workspace
	@scripts/ui test $(ASSAY)

check: setup ui
	@scripts/check

# The throwaway PostgreSQL syncs to disk here, as one in production does.
bench: model
	@scripts/setup test
	@scripts/setup load
	@SERVICES_FSYNC=on scripts/services run $(ASSAY) bench $(if $(EVAL_DIR),--eval-dir $(EVAL_DIR)) $(ARGS)
	@scripts/ui bench $(ASSAY)

eval: model
	@scripts/eval "$(ASSAY)" "$(EVAL_DIR)" $(ARGS)

setup:
	@scripts/setup build

# Licences, sources and bans; installs cargo-deny, which takes minutes.
audit: setup
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	@cargo deny check licenses bans sources

# The whole HTTP interface, tried by a machine with requests made from its own description.
api-check: build
	@scripts/setup api
	@scripts/api-check $(ASSAY) $(ARGS)

# Every test, and what takes longer than a commit should wait for.
test-long: test api-check

clean:
	@cargo clean
