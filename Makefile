# posturewatch.  `make demo` shows it, `make test` checks it; both set themselves up in .venv.
# PYTHON=/path/to/python chooses the interpreter (3.11 or newer).

.POSIX:
.PHONY: help demo setup test test-wheel fuzz fuzz-needs test-bluez test-ha test-node-red lint bench man container lock clean

BIN = .venv/bin
# Debian puts mosquitto where only root's path looks.
WITH_SBIN = PATH="$$PATH:/usr/sbin:/usr/local/sbin"

help:
	@echo 'make demo    watch a simulated wearer be reminded, on a broker of its own'
	@echo 'make test    lint, types, architecture, all tests'
	@echo 'make test-wheel     all tests again, on the built and installed wheel'
	@echo 'make test-ha tests in a real Home Assistant, installed outside the checkout'
	@echo 'make test-node-red tests the flow in a real Node-RED, installed outside the checkout'
	@echo 'make test-bluez    tests on a real BlueZ, in a small virtual machine'
	@echo 'make fuzz    all decoders for a minute, guided by coverage (SECONDS=600 for longer)'
	@echo 'make lint    the same without the tests'
	@echo 'make bench   measure, beside limits and other programs'
	@echo 'make man     renew the manual pages in docs/man'
	@echo 'make container     an image, with podman, buildah or docker'
	@echo 'make lock    renew the lock files (needs uv)'
	@echo 'make clean   remove .venv and all caches'

demo:
	@scripts/setup_venv run
	@exec $(BIN)/posturewatch demo

setup:
	@scripts/setup_venv test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Most tests wait for something, so there are more workers than cores; each file stays in one of them.
WORKERS = -n 4 --dist loadfile
test: setup
	@$(WITH_SBIN) scripts/ensure_test_servers
	@$(MAKE) --no-print-directory lint
	$(WITH_SBIN) $(BIN)/pytest $(WORKERS)

# From an empty folder, so that neither pytest nor a program that it starts finds the sources of the checkout.
test-wheel:
	@scripts/setup_venv wheel
	@$(WITH_SBIN) scripts/ensure_test_servers
	@mkdir -p build/elsewhere
	cd build/elsewhere && POSTUREWATCH_TESTED=wheel $(WITH_SBIN) ../wheel-venv/bin/pytest $(WORKERS) \
	    -c ../../pyproject.toml --rootdir ../.. ../../tests

# HOME_ASSISTANT_PYTHON=/path/to/python3.13 and HOME_ASSISTANT_VERSION=2026.2.3 choose others than the newest.
test-ha: setup
	@$(WITH_SBIN) scripts/ensure_test_servers
	home_assistant=$$(scripts/setup_home_assistant) && \
	    POSTUREWATCH_HOME_ASSISTANT="$$home_assistant" $(WITH_SBIN) $(BIN)/pytest tests/home_assistant

test-node-red: setup
	@$(WITH_SBIN) scripts/ensure_test_servers
	node_red=$$(scripts/setup_node_red) && \
	    POSTUREWATCH_NODE_RED="$$node_red" $(WITH_SBIN) $(BIN)/pytest tests/home_assistant

test-bluez: setup
	$(BIN)/python scripts/bluez_vm

# Not in the lock files: it has wheels for few interpreters, and nothing else needs it.
SECONDS = 60
fuzz-needs: setup
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
	    $(BIN)/python -m pip --disable-pip-version-check --no-input -q install 'atheris==3.0.0' --only-binary :all: || \
	    { echo "fuzzing needs atheris, and there is none for $$($(BIN)/python --version): make clean, then make fuzz PYTHON=/path/to/python3.12" >&2; exit 3; }

fuzz: fuzz-needs
	$(BIN)/python tests/fuzz/fuzz_drivers.py --seconds $(SECONDS)

bench: setup
	@missed=; for each in benchmarks/*.py; do test -e "$$each" || { echo "there are no benchmarks here"; exit 1; }; echo "== $$each"; $(BIN)/python "$$each" || missed="$$missed $$each"; done; \
	    test -z "$$missed" || { echo "missed its limit or failed:$$missed"; exit 1; }

man: setup
	@$(BIN)/python scripts/write_man_pages docs/man

container:
	@for engine in podman docker buildah; do \
	    command -v $$engine >/dev/null && exec $$engine build -f config/container/Containerfile -t posturewatch .; \
	done; echo 'no podman, docker or buildah here: install one of them' >&2; exit 3

lock:
	uv pip compile --universal --python-version 3.11 --no-header --no-annotate --quiet \
	    --extra broker --extra data pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --no-header --no-annotate --quiet \
	    --extra broker --extra data --extra desktop --extra sim --group dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
