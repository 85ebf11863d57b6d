# Tengen. `make help` lists the targets. Each one sets up what it needs in .venv, and nothing more.
# The only prerequisite is Python 3.11 or newer with venv; another interpreter: make PYTHON=python3.12 ...
# Whatever a set-up step prints goes to stderr, and it reads nothing from stdin: `make -s gtp` speaks GTP alone.

PYTHON ?= python3
ARGS ?=
OUT ?= runs/tictactoe

VENV := .venv
BIN := $(VENV)/bin
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help gtp serve test test-all check lint types wheel-check bench proto train-demo clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

gtp: $(VENV)/.kernels ## play through GTP on stdin and stdout (ARGS="--help" lists options)
	@exec $(BIN)/tengen gtp $(ARGS)

serve: $(VENV)/.serve $(VENV)/.kernels ## start the gRPC server (ARGS="--help" lists options)
	@exec $(BIN)/tengen serve $(ARGS)

# Side by side, with kernels that are compiled already: some tests wait for a server to start. A file's tests stay in one
# process, because they share what is slow to make. The slow tests measure, and run alone.
test: $(VENV)/.dev $(VENV)/.kernels ## install everything and run the fast tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m "not slow" $(ARGS)

test-all: $(VENV)/.dev ## the slow tests too
	$(BIN)/python -m pytest $(ARGS)

check: lint types test wheel-check ## all that a change must pass

lint: $(VENV)/.lint ## format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev ## mypy, strict, on the engine, the protocols and the front door
	$(BIN)/python -m mypy

wheel-check: $(VENV)/.dev ## build the wheel and try it in an environment of its own, outside this folder
	.ci/wheel $(BIN)/python

bench: $(VENV)/.dev ## measure the speed figures (what is left out takes longer or adds to history.jsonl: run it by hand)
	@$(BIN)/tengen bench
	@for file in $(filter-out $(addprefix benchmarks/,ablations.py deadlines.py dials.py gate_5x5.py gate_7x7.py gpu.py history.py ladder.py match.py pgx_mctx.py referee.py seats.py soak.py tictactoe.py),$(wildcard benchmarks/*.py)); do echo "== $$file"; $(BIN)/python $$file || exit 1; done

proto: $(VENV)/.dev ## generate the gRPC code from protocol/v1/engine.proto
	$(BIN)/python -m protocol.v1.generate

train-demo: $(VENV)/.train ## learn tic-tac-toe from zero (OUT=folder)
	$(BIN)/tengen train tictactoe --out $(OUT) $(ARGS)

clean: ## remove builds and caches (the environment stays: rm -r .venv removes it)
	rm -rf $(VENV)/.kernels build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Set-up. One stamp for each set of packages; a changed pin or dependency makes them stale.
install = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(1) </dev/null >&2
notice = echo "tengen: installing $(1) into $(VENV), once" >&2

# An environment knows its own path: in a folder that was moved or copied it goes, and is made anew when it is needed.
$(shell [ ! -f $(VENV)/.python ] || pwd -P | cmp -s - $(VENV)/.python || rm -rf $(VENV))

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >&2 || { \
	  echo "tengen: Python 3.11 or newer is needed, and $(PYTHON) is not: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) </dev/null >&2 || { \
	  echo "tengen: $(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@pwd -P > $@

$(VENV)/.engine: $(VENV)/.python pyproject.toml constraints.txt
	@$(call notice,the engine)
	@$(call install,-e .)
	@touch $@

# A first move compiles the kernels; a program that starts the engine afterwards finds them.
$(VENV)/.kernels: $(VENV)/.engine $(wildcard engine/*.py engine/*/*.py)
	@echo "tengen: compiling, half a minute, once" >&2
	@printf 'genmove b\nquit\n' | $(BIN)/tengen gtp --time 0.1 >/dev/null 2>&1 || true
	@touch $@

$(VENV)/.serve: $(VENV)/.python pyproject.toml constraints.txt
	@$(call notice,the engine and the gRPC server)
	@$(call install,-e '.[serve]')
	@touch $@ $(VENV)/.engine

$(VENV)/.train: $(VENV)/.python pyproject.toml constraints.txt
	@$(call notice,the engine and the trainer)
	@$(call install,-e '.[train]')
	@touch $@ $(VENV)/.engine

$(VENV)/.dev: $(VENV)/.python pyproject.toml constraints.txt
	@$(call notice,everything that the tests use)
	@$(call install,-e '.[dev]')
	@touch $@ $(VENV)/.engine $(VENV)/.serve $(VENV)/.train $(VENV)/.lint

$(VENV)/.lint: $(VENV)/.python constraints.txt
	@$(call notice,the linter)
	@$(call install,ruff)
	@touch $@
