# Thin on purpose: scripts/setup knows what a machine needs, `cargo xtask` knows what the project checks.
.PHONY: help run test bench

help:
	@echo 'make run              start the gateway (needs no configuration); ARGS="..." are passed to `novastack serve`'
	@echo 'make test             install what the tests need, then run every check that CI runs'
	@echo 'make bench            measure beside nginx and LiteLLM; ARGS="..." are passed to `cargo xtask bench`'
	@echo 'cargo xtask ci fmt    one step of the checks; `cargo xtask --help` lists the rest'

run:
	@scripts/setup run
	@cargo run --release --quiet --locked -p novastack -- serve $(ARGS)

test:
	@scripts/setup test
	@cargo xtask ci

bench:
	@scripts/setup bench
	@cargo xtask bench $(ARGS)
