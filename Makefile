# Thin on purpose: scripts/setup knows what a machine needs, `cargo xtask` knows what the project checks.
.PHONY: help run test test-agents bench

help:
	@echo 'make run              start the gateway (needs no configuration); ARGS="..." are passed to `novastack serve`'
	@echo 'make test             install what the tests need, then run every check that CI runs'
	@echo 'make test-agents      run real coding agents against the gateway; ARGS="-k codex" are passed to pytest'
	@echo 'make bench            measure beside nginx and LiteLLM; ARGS="..." are passed to `cargo xtask bench`'
	@echo 'cargo xtask ci fmt    one step of the checks; `cargo xtask --help` lists the rest'

run:
	@scripts/setup run
	@cargo run --release --quiet --locked -p novastack -- serve $(ARGS)

test:
	@scripts/setup test
	@cargo xtask ci

test-agents:
	@scripts/setup agents
	@cargo build --quiet --locked -p novastack
	@PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m pytest -q -p no:cacheprovider agents $(ARGS)

bench:
	@scripts/setup bench
	@cargo xtask bench $(ARGS)
