# `make demo` and `make test` are all that a fresh machine needs; see `make help`.
.DEFAULT_GOAL := help
SHELL := /bin/bash

# Where rustup puts cargo: a shell that was open before has not got it in PATH.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

# Seconds that each fuzz target runs.
SECONDS_EACH := $(or $(SECONDS),60)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## install the system packages (apt) and check the Rust toolchain
	@scripts/setup

.PHONY: build
build: setup ## release build of the tool
	cargo build --release --locked -p scanout

.PHONY: demo
demo: build ## encode 10 s of a 1080p desktop, decode and compare it: the whole job
	target/release/scanout demo --output-dir out/demo

.PHONY: test
test: ## all tests, those on real dma-bufs in the rig too (docs/rig.md)
	@scripts/setup --rig --test
	scripts/test

.PHONY: test-host
test-host: ## all tests but those in the rig
	@scripts/setup --test
	scripts/test --host

.PHONY: rig
rig: ## build the rig's kernel and root into its cache, and start it once
	@scripts/setup --rig
	testing/rig/run -- uname -srm
	@echo "the rig works; a command in it: testing/rig/run -- COMMAND (docs/rig.md)"

.PHONY: lint
lint: setup ## formatting, clippy and shellcheck
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target --all-targets --locked -- -D warnings
	@if command -v shellcheck >/dev/null; then shellcheck scripts/* testing/rig/{build,run,test} testing/rig/root/recipe testing/rig/kernel/{recipe,inside} testing/rig/guest/init testing/rig/qemu/record testing/rig/qemu/guest/{build,init,show,initramfs} .ci/run; \
	else echo "skip: no shellcheck here"; fi

.PHONY: doc
doc: setup ## rustdoc of all crates, warnings are errors
	RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked

.PHONY: bench
bench: ## criterion benches, then the whole path beside its peers (minutes)
	@scripts/setup --bench
	cargo bench --locked -p scanout-benches
	cargo run --release --locked -p scanout-benches --bin whole-path -- --output-dir out/bench
	cargo run --release --locked -p scanout-benches --bin hold-time -- --output-dir out/bench
	cargo run --release --locked -p scanout-benches --bin viewers -- --output-dir out/bench

.PHONY: fuzz
fuzz: setup ## every fuzz target for SECONDS=60
	scripts/fuzz $(SECONDS_EACH)

.PHONY: clean
clean: ## build products and output
	cargo clean
	rm -rf out
