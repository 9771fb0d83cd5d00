# `make` or `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help up preview render status picture destroy down unit test soak report bench settings docs lint
STACK ?= dev
OUT ?= build/rendered
PYTHON ?= python3
RUN := .venv/bin/python
READY := .venv/ready
POLICIES := policies/.venv/ready

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  STACK=dev|prod            which stack, for up, preview, render, status, picture and destroy'
	@echo '  DIFF=1                    every detail, for preview'
	@echo '  OUT=build/rendered        where to, for render; with IMAGES=1 it lists the images instead'
	@echo '  The first target you make installs the Python packages into .venv: about a minute.'

up: $(READY) ## the platform on a real cluster, here: start, deploy, wait until Ready, print links
	@$(RUN) -m sandbox up --stack $(STACK)

preview: $(READY) ## what `make up` would change
	@$(RUN) -m sandbox preview --stack $(STACK) $(if $(DIFF),--diff)

render: $(READY) ## every object of the stack as YAML in OUT, without a cluster: docs/gitops.md
	@$(RUN) -m ado_infra.ops render --stack $(STACK) $(if $(IMAGES),--images,--out $(OUT))

status: $(READY) ## every tier as it runs
	@$(RUN) -m sandbox status --stack $(STACK)

picture: $(READY) ## every tier as it runs, and who talks to whom, drawn to build/platform.svg
	@$(RUN) -m sandbox picture --stack $(STACK)

destroy: $(READY) ## delete the stack, unless it is protected
	@$(RUN) -m sandbox destroy --stack $(STACK)

down: $(READY) ## remove the sandbox with its cluster, its data and its state
	@$(RUN) -m sandbox down

unit: $(READY) ## the fast tests: no cluster, seconds
	@$(RUN) -m pytest tests/unit --numprocesses auto

test: $(READY) ## every test: the fast ones, then those on clusters of their own
	@$(RUN) -m sandbox prepare
	@$(RUN) -m pytest tests/unit tests/package tests/cluster --numprocesses 2 --dist loadfile \
		--no-loadscope-reorder --durations=40 --maxfail=5

soak: $(READY) ## the long runs, hours: scaling at its own pace, random kills, further variants of faults
	@$(RUN) -m pytest tests/soak -s

report: $(READY) ## what `make test` and `make soak` measured, written to docs/reliability.md
	@$(RUN) -m tests.report

bench: $(READY) ## deployments and rendering timed beside others, written to docs/performance.md
	@$(RUN) -m tests.bench $(if $(ONLY),--only $(ONLY)) $(if $(RUNS),--runs $(RUNS))

settings: $(READY) ## what a stack may say, written to docs/settings.md and docs/settings.schema.json
	@mkdir -p build
	@$(RUN) -m ado_infra.ops schema > build/settings.json && mv build/settings.json docs/settings.schema.json
	@$(RUN) -m ado_infra.ops schema --markdown > build/settings.md && mv build/settings.md docs/settings.md

docs: $(READY) ## the documentation site, written to build/site; its picture is drawn anew
	@$(RUN) -m tests.picture
	@$(RUN) -m tests.connections
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

lint: $(READY) ## style, types and spelling
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/basedpyright
	@.venv/bin/codespell

# The tools, in a virtual environment of the checkout's own; made anew when the pins change.
$(READY): requirements.txt requirements-ops.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed; name it: make PYTHON=python3.12 …' >&2; exit 1; }
	@echo 'Installing the Python packages into .venv (once, about a minute)'
	@$(PYTHON) -m venv .venv
	@$(RUN) -m pip install --progress-bar off --disable-pip-version-check \
		-r requirements.txt -r requirements-ops.txt -r requirements-dev.txt
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --editable .  # ado-ops
	@touch $@

# What the policy pack runs in; its pins do not go with the others.
$(POLICIES): requirements.txt policies/requirements.txt
	@$(PYTHON) -m venv policies/.venv
	@policies/.venv/bin/python -m pip install --progress-bar off --disable-pip-version-check \
		-r policies/requirements.txt
	@touch $@
