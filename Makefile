# `make` alone lists the targets. All of them are idempotent and start from a clean clone.

PYTHON ?= python3
PORT ?= 8000
# More than two cores: many tests wait for another process most of their time.
WORKERS ?= 4
ARGS ?=

BIN := .venv/bin
MANAGE := $(BIN)/python manage.py

# Compiling all of scipy, numba and scikit-image to bytecode takes half of pip's time, and most of it is never
# imported: Python compiles the rest on first use. pip rather than uv: it honours the user's own index.
PIP_INSTALL := $(BIN)/python -m pip install -qq --no-input --disable-pip-version-check --no-compile --require-hashes

export PORT

# The suite starts a hundred processes. With PYTHONDONTWRITEBYTECODE set, each would compile the project again.
test test-postgres coverage: export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run run-stripe-sandbox test test-all test-postgres image-test coverage lint audit bench services screenshots lighthouse \
	assets messages requirements lint-scripts clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' Makefile

run: .venv/.stamp-runtime .venv/.stamp-fast ## serve on http://127.0.0.1:$PORT (8000) with a demo account
	@$(MANAGE) prepare_model
	@$(MANAGE) migrate --noinput --verbosity 0
	@# The server's own hook prints the demo key once it is ready: see config/gunicorn.py.
	@DEMO=1 exec $(BIN)/gunicorn -c config/gunicorn.py config.wsgi:application

SANDBOX_PORT ?= 12111
run-stripe-sandbox: .venv/.stamp-dev .venv/.stamp-fast ## the same with payments, against a fake Stripe that a browser can click through
	@$(BIN)/python -m tests.fakes.stripe_server --port $(SANDBOX_PORT) --secret whsec_sandbox \
	    --webhook http://127.0.0.1:$(PORT)/api/stripe/webhook & fake=$$!; \
	trap 'kill $$fake 2>/dev/null' EXIT; sleep 1; \
	export STRIPE_SECRET_KEY=sk_test_sandbox STRIPE_WEBHOOK_SECRET=whsec_sandbox VAR_DIR=var/stripe-sandbox \
	    STRIPE_API_BASE=http://127.0.0.1:$(SANDBOX_PORT); \
	$(MANAGE) prepare_model && rm -f var/stripe-sandbox/db.sqlite3* && mkdir -p var/stripe-sandbox && \
	$(MANAGE) migrate --noinput --verbosity 0 && $(MANAGE) sync_stripe && \
	DEMO=1 $(BIN)/gunicorn -c config/gunicorn.py config.wsgi:application

test: .venv/.stamp-dev .venv/.stamp-fast ## run the tests; ARGS="-k key" are passed to pytest
	@$(MANAGE) prepare_model
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(ARGS)

# The tests that query the test database, each worker with its own temporary database. Tests that start the product or a
# browser bring their own database, and run in `make test`.
test-postgres: .venv/.stamp-dev .venv/.stamp-fast ## run the tests of the API and the pages again, on PostgreSQL
	@$(MANAGE) prepare_model
	@url="$${TEST_DATABASE_URL:-postgres://postgres@127.0.0.1:5432/}"; DATABASE_URL="$${url%/}/scratch_$$$$" \
	  $(BIN)/pytest -n $(WORKERS) --create-db tests/accounts tests/billing tests/config tests/fakes tests/imaging tests/lib tests/website $(ARGS)

test-all: export EXHAUSTIVE = 1
test-all: test ## the same with every combination of window, colours and language in the browser

# Needs buildah as root (on Debian: apt-get install buildah debootstrap), or docker; `make services` first. PYTHON_IMAGE names a base.
image-test: .venv/.stamp-dev .venv/.stamp-fast ## build the container image, and run its processes as compose.yaml has them
	@$(MANAGE) prepare_model
	@IMAGE_TEST=1 $(BIN)/pytest -n 0 -s tests/image $(ARGS)

# What these tests cover without services, browsers and Node; processes that they start are not counted. The floor: `fail_under` in pyproject.toml.
coverage: .venv/.stamp-dev .venv/.stamp-fast ## measure what the quick tests cover; fails below the floor, if one is set
	@$(MANAGE) prepare_model
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup -q -m "not services and not browser and not node" --cov --cov-report=term \
	  tests/accounts tests/billing tests/config tests/imaging tests/lib tests/website $(ARGS)

lint: .venv/.stamp-dev ## style, types, import layers, requirements, templates, scripts, migrations, deployment checks, API schema
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/deptry . --no-ansi
	$(BIN)/djlint --lint --quiet templates
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory lint-scripts; \
	else echo "There is no Node: the scripts of the pages and of the client are not checked."; fi
	$(MANAGE) makemigrations --check --dry-run
	@# What production would have, with secrets that are as long as real ones and new each time.
	PRODUCTION=1 ALLOWED_HOSTS=example.com EMAIL_URL=smtp://localhost:25 \
	  DATABASE_URL=postgres://rembg@localhost:5432/rembg REDIS_URL=redis://localhost:6379/0 \
	  SECRET_KEY="$$($(RANDOM_SECRET))" API_KEY_PEPPER="$$($(RANDOM_SECRET))" \
	  $(MANAGE) check --deploy --fail-level WARNING
	$(MANAGE) spectacular --validate --fail-on-warn --file /dev/null

lint-scripts: frontend/node_modules/.stamp
	cd frontend && npm run --silent lint

RANDOM_SECRET := $(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))'

audit: .venv/.stamp-dev ## look for known weaknesses of what is pinned; needs an index that knows them
	$(BIN)/deptry . --no-ansi
	@for file in requirements.txt requirements-fast.txt requirements-int8.txt requirements-otel.txt requirements-gpu.txt requirements-dev.txt requirements-client.txt requirements-removebg.txt; do \
	  echo "== $$file"; $(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement "$$file" --progress-spinner off || exit 1; \
	done

bench: .venv/.stamp-dev .venv/.stamp-fast ## run the side-by-side benchmarks, one after another
	@$(MANAGE) prepare_model
	@for bench in tests/bench/bench_*.py; do \
	  if [ ! -e "$$bench" ]; then echo "There are no benchmarks in tests/bench."; exit 1; fi; \
	  echo "== $$bench"; PYTHONPATH=. $(BIN)/python "$$bench" || exit 1; \
	done

services: ## start PostgreSQL, Redis and RabbitMQ on loopback where they do not run yet
	@scripts/services.sh

screenshots: .venv/.stamp-dev ## photograph every page, in both languages, into screenshots/; ARGS="home editor" for some
	@$(MANAGE) prepare_model
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

lighthouse: .venv/.stamp-dev frontend/node_modules/.stamp ## judge pages by Lighthouse, as production serves them; ARGS="--runs 1 --floor 95 home"
	@$(MANAGE) prepare_model
	@$(BIN)/python -m tests.browser.lighthouse $(ARGS)

assets: frontend/node_modules/.stamp ## compile frontend/ into config/static (committed; needs Node)
	@cd frontend && npm run --silent build

frontend/node_modules/.stamp: frontend/package.json
	@cd frontend && npm install --silent
	@touch $@

# Locations of texts are kept as file names without line numbers, and the creation date is dropped: both would change with
# every edit.
MAKEMESSAGES := $(MANAGE) makemessages --locale ar --no-obsolete --no-wrap --add-location file --verbosity 0 \
	--ignore .venv --ignore clients --ignore node_modules --ignore staticfiles --ignore tests --ignore var --ignore vendor
messages: .venv/.stamp-dev ## collect the texts for locale/ and compile their translations (committed; needs GNU gettext)
	@command -v msgfmt >/dev/null || { echo "GNU gettext is needed. On Debian: apt-get install gettext"; exit 1; }
	@$(MAKEMESSAGES) && $(MAKEMESSAGES) --domain djangojs
	@sed -i.bak '/^"POT-Creation-Date:/d' locale/*/LC_MESSAGES/*.po && rm locale/*/LC_MESSAGES/*.po.bak
	@for po in locale/*/LC_MESSAGES/*.po; do msgfmt --check-format --check-domain --statistics -o "$${po%.po}.mo" "$$po" || exit 1; done

UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header

requirements: .venv/.stamp-dev ## pin what requirements*.in ask for, with hashes; ARGS=--upgrade for newer versions
	$(UV_COMPILE) $(ARGS) requirements.in -o requirements.txt
	$(UV_COMPILE) $(ARGS) -c requirements.txt requirements-slim.in -o requirements-slim.txt
	$(UV_COMPILE) $(ARGS) requirements-dev.in -o requirements-dev.txt
	$(UV_COMPILE) $(ARGS) requirements-client.in -o requirements-client.txt
	$(UV_COMPILE) $(ARGS) requirements-removebg.in -o requirements-removebg.txt
	$(UV_COMPILE) $(ARGS) requirements-fast.in -o requirements-fast.txt
	$(UV_COMPILE) $(ARGS) requirements-int8.in -o requirements-int8.txt
	$(UV_COMPILE) $(ARGS) requirements-otel.in -o requirements-otel.txt
	$(UV_COMPILE) $(ARGS) requirements-gpu.in -o requirements-gpu.txt

clean: ## remove the virtual environment, caches and collected files; keeps var/ (your data) and the model
	rm -rf .venv .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- Virtual environment -------------------------------------------------------------------------

.venv/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or later is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." \
	       "Name another one: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Creating the virtual environment .venv"
	@$(PYTHON) -m venv .venv || { echo "'$(PYTHON) -m venv' failed. On Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

.venv/.stamp-runtime: requirements.txt .venv/.stamp-venv
	@echo "Installing the dependencies (half a minute)"
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

.venv/.stamp-dev: requirements-dev.txt .venv/.stamp-runtime
	@echo "Installing what the tests and linters need"
	@$(PIP_INSTALL) -r requirements-dev.txt
	@# The suite starts many processes; where Python may not write bytecode automatically, each would compile everything again.
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true
	@touch $@

# What can be fastest on this processor; `prepare_model` finds out. Everything works without it: some platforms have no wheel.
.venv/.stamp-fast: requirements-fast.txt requirements-int8.txt imaging/core/cpu.py .venv/.stamp-runtime
	@echo "Installing MNN, for faster cutouts"
	@# The weights come meanwhile. What goes wrong with them the next prepare_model reports.
	@IMAGING_RUNTIME=onnxruntime IMAGING_PRECISION=fp32 $(MANAGE) prepare_model 2>/dev/null & fetch=$$!; \
	trap 'kill $$fetch 2>/dev/null' EXIT; \
	$(PIP_INSTALL) --only-binary=:all: -r requirements-fast.txt || echo "MNN is not to be had here: going on without it"; \
	if $(BIN)/python -c 'import sys; from imaging.core.cpu import int8_profits; sys.exit(not int8_profits())'; then \
	  echo "Installing OpenVINO, for INT8 on this processor"; \
	  $(PIP_INSTALL) --only-binary=:all: -r requirements-int8.txt || echo "OpenVINO is not to be had here: going on without it"; \
	fi; \
	wait $$fetch || true
	@touch $@
