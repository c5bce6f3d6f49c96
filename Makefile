# `make demo` and `make test` install what they need into .venv; everything else is a shorthand.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
.DEFAULT_GOAL := test
.PHONY: test test-all lint docs demo bench schema clean
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# A stamp for each extra: made again when pyproject.toml changes, and only then.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	@touch $@

# The YAML language server, with which tests/editor looks at specs as an editor does; without npm those tests are skipped.
# In CI a failure of npm is a failure.
LANGUAGE_SERVER := tests/editor/node_modules
$(LANGUAGE_SERVER): tests/editor/package.json
	@if ! command -v npm >/dev/null; then echo "tests/editor will be skipped: npm is missing"; \
	elif npm ci --silent --no-fund --no-audit --prefix tests/editor; then touch $@; \
	elif [ "$$CI" = true ]; then exit 1; \
	else echo "tests/editor will be skipped: npm failed"; fi

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# What a change has to pass: the slow tests are left to `make test-all`. The wheel's own test is among them.
test: lint $(LANGUAGE_SERVER)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not slow"

test-all: lint $(LANGUAGE_SERVER)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

# The documentation, in docs/_build/html; a warning is an error. Its snippets run in `make test`.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx --builder html --fail-on-warning --nitpicky --quiet docs docs/_build/html

# Compiles examples/specs/digits.yaml and trains the module on scikit-learn's handwritten digits.
demo: $(VENV)/.installed-demo
	$(BIN)/deqc compile examples/specs/digits.yaml -o examples/train/digits_model.py
	$(BIN)/python examples/train/digits.py --picture digits.png

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/large_specs.py
	$(BIN)/python benchmarks/solvers.py
	$(BIN)/python benchmarks/adjoints.py

# Writes the JSON Schema and the pages of the reference again after a change of an op, a setting, a code or a command.
schema: $(VENV)/.installed-dev
	$(BIN)/python -m deqc.spec.schema
	$(BIN)/python docs/tables.py

clean:
	rm -rf $(VENV) $(LANGUAGE_SERVER) build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -f examples/train/digits_model.py digits.png
