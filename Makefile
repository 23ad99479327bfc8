# The two commands a new user types are `make demo` and `make test`; each sets up what it needs. `make` lists all.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV ?= .venv
# CPU or CUDA is a choice of package index: TORCH="torch==2.13.0 --index-url …" picks another build.
TORCH ?= torch==2.13.0
BIN := $(abspath $(VENV))/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode
export PLATFORM_DATA ?= $(abspath .data)
export DAGSTER_HOME ?= $(PLATFORM_DATA)/dagster
export DAGSTER_DISABLE_TELEMETRY := yes
export GX_ANALYTICS_ENABLED := False
# Threads that spin while they wait starve each other on small machines.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE

MANIFEST := dbt_project/target/manifest.json
DBT_FILES := $(shell find dbt_project platform_assets/dbt -type f \( -name '*.sql' -o -name '*.yml' \) -not -path '*/target/*')

# BigQuery and GCS on this machine, in an environment of their own: they need a newer Python than the platform.
EMULATORS := $(abspath .emulators)
# kubectl and checkov, at versions of ours, in an environment of their own.
KUBERNETES_TOOLS := $(abspath .kubernetes-tools)
# What our models are compared with.
AUTOGLUON := $(abspath .autogluon)
# Kubernetes on this machine, built from Debian's source package: minutes, once.
CLUSTER := $(abspath .cluster/bin)
# Any other cluster's kubeconfig, to run `make test-cluster` there: tests/cluster/README.md.
CLUSTER_KUBECONFIG ?=
# A project kept for tests, to run `make test-bigquery` against Google's own: tests/emulators/README.md.
PROJECT ?=
# Processes that run tests side by side.
WORKERS ?= 2
# `make test SEED=…` draws again what an earlier run drew and printed.
SEED ?=
PYTEST = $(BIN)/python -m pytest $(if $(DEEP),--deep) $(if $(SEED),--seed=$(SEED))

## this list
help:
	@awk '/^## / {about = substr($$0, 4)} !/^#/ {if (about) {sub(":.*", ""); printf "make %-22s %s\n", $$0, about}; about = ""}' \
	    $(firstword $(MAKEFILE_LIST))

.PHONY: help environment manifest emulators kubernetes-tools cluster demo ui tensorboard test test-deep test-without-cluster test-fast test-bigquery test-cluster parity dbt-state slim-ci programs benchmark benchmark-budget benchmark-pods benchmark-quality lint docs schema lock clean

## the environment for all else, in .venv, as the locks have it
environment: $(VENV)/.installed

$(VENV)/.installed: requirements.lock requirements-dev.lock deploy/bootstrap.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r deploy/bootstrap.lock
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	$(UV) --no-deps --require-hashes -r requirements.lock -r requirements-dev.lock
	$(UV) --no-deps --no-build-isolation --editable .
	touch $@

## dbt's manifest
manifest: $(MANIFEST)

$(MANIFEST): $(VENV)/.installed $(DBT_FILES)
	$(BIN)/platform-assets manifest

## BigQuery's and GCS's emulators, in an environment of their own
emulators: $(EMULATORS)/.installed

$(EMULATORS)/.installed: tests/emulators/requirements.lock tests/emulators/install.sh | $(VENV)/.installed
	tests/emulators/install.sh $(EMULATORS) $(BIN)/uv

## kubectl and checkov, in an environment of their own
kubernetes-tools: $(KUBERNETES_TOOLS)/.installed

$(KUBERNETES_TOOLS)/.installed: tests/deploy/tools/requirements.lock tests/deploy/tools/install.sh | $(VENV)/.installed
	tests/deploy/tools/install.sh $(KUBERNETES_TOOLS) $(BIN)/uv $(BIN)/python

$(DAGSTER_HOME)/dagster.yaml: deploy/local/dagster.yaml
	mkdir -p $(DAGSTER_HOME)
	cp $< $@

# Steps link to it when PLATFORM_TENSORBOARD_URL names where it is served.
## TensorBoard of what models are fitted now, and were before
tensorboard: $(VENV)/.installed
	mkdir -p $(PLATFORM_DATA)/tensorboard
	$(BIN)/tensorboard --load_fast=false --logdir $(PLATFORM_DATA)/tensorboard --host 127.0.0.1 --port 6006 --reload_interval 5

## the whole platform on sample data: exports in, audiences out
demo: $(MANIFEST) $(DAGSTER_HOME)/dagster.yaml
	$(BIN)/python -m samples.demo

# A shell starts what it puts into the background deaf to SIGINT, and Dagster then makes it deaf to SIGTERM too.
# Pages end with the process that the shell becomes.
## Dagster's web UI on what the demo did, at http://127.0.0.1:3000, and its reports at http://127.0.0.1:3001
ui: $(MANIFEST) $(DAGSTER_HOME)/dagster.yaml
	$(BIN)/platform-assets pages --beside $$$$ & \
	exec env --default-signal=INT $(BIN)/dagster dev -w workspace.yaml

# Side by side: the cluster is built while other tests run, and its tests mostly wait for pods. Each prints when it is done.
## every test, on emulators and on a cluster of this machine
test:
	$(MAKE) --jobs=2 --output-sync=target test-without-cluster test-cluster

## `make test` with every crash point, of which that draws a few
test-deep:
	$(MAKE) test DEEP=yes

# Which worker takes what: tests/tiers.py.
## the tests but for those on a cluster
test-without-cluster: $(MANIFEST) programs emulators
	$(PYTEST) --numprocesses=$(WORKERS) --durations=25 -m "not cluster and not kubelet" --require-emulators --require-programs

## the tests that take Python alone, and no more than seconds each
test-fast: $(MANIFEST)
	$(PYTEST) --numprocesses=$(WORKERS) -m "not slow and not programs and not bigquery and not cluster and not kubelet"
	@echo "Left out: what takes longer, BigQuery (make test-bigquery), Kubernetes (make test-cluster) or other programs (make test)"

## the tests on BigQuery and GCS: on emulators, or on PROJECT=…
test-bigquery: $(MANIFEST) $(if $(PROJECT),,emulators)
	$(PYTEST) -m bigquery $(if $(PROJECT),--google-project=$(PROJECT),--require-emulators)

# Kubernetes' programs are there or are built; the script knows.
## Kubernetes' own programs for test-cluster, built once
cluster: programs
	tests/cluster/build.sh $(CLUSTER)

## the tests on Kubernetes: on this machine, or on CLUSTER_KUBECONFIG=…
test-cluster: $(MANIFEST) programs emulators $(if $(CLUSTER_KUBECONFIG),,cluster)
	$(PYTEST) -m "cluster or kubelet" $(if $(CLUSTER_KUBECONFIG),--kubeconfig=$(CLUSTER_KUBECONFIG),--require-cluster) --require-emulators

## the demo on DuckDB and on the emulators, compared row by row
parity: $(MANIFEST) emulators
	$(BIN)/python -m tests.parity

# What a pull request changed, built in a stage of its own (deploy/bigquery/README.md). `dbt-state` runs on the deployed
# commit with its PLATFORM_STAGE, so that STATE names its datasets; the separate target keeps the local manifest as it is.
STATE ?= $(PLATFORM_DATA)/dbt-state
DBT_PROJECT := --project-dir dbt_project --profiles-dir platform_assets/dbt

## dbt's state of this commit into STATE, for slim-ci
dbt-state: $(VENV)/.installed
	$(BIN)/dbt parse $(DBT_PROJECT) --target-path $(abspath $(STATE))

## what differs from STATE, built in a stage of its own
slim-ci: $(VENV)/.installed
	$(BIN)/dbt build --select state:modified+ --defer --favor-state --state $(abspath $(STATE)) $(DBT_PROJECT) \
	    --target-path $(PLATFORM_DATA)/slim-ci

## what tests drive besides Python: a browser, kubectl, checkov, promtool, a C compiler, PostgreSQL, containerd
programs: kubernetes-tools
	tests/install_programs.sh

## the run under Dagster against the same functions in a plain script
benchmark: $(MANIFEST)
	$(BIN)/python -m benchmarks.orchestration

## what `models: auto` spends on the demo's campaigns, against the budget of their files
benchmark-budget: $(MANIFEST)
	$(BIN)/python -m benchmarks.budget

# AutoGluon has an environment of its own (2.2 GB). Cells that are kept are not run again.
## our models against AutoGluon, into benchmarks/quality/figures.md: hours
benchmark-quality: $(MANIFEST) $(AUTOGLUON)/.installed
	$(BIN)/python -m benchmarks.quality run
	$(BIN)/python -m benchmarks.quality run --part permuted --seeds 0
	$(BIN)/python -m benchmarks.quality run --part pooling
	$(BIN)/python -m benchmarks.quality run --part transfer
	$(BIN)/python -m benchmarks.quality table

$(AUTOGLUON)/.installed: benchmarks/quality/peer/requirements.lock | $(VENV)/.installed
	TORCH="$(TORCH)" benchmarks/quality/peer/install.sh $(AUTOGLUON) $(PYTHON)

## what a step costs as a pod, on this machine's cluster
benchmark-pods: $(MANIFEST) emulators cluster
	$(BIN)/python -m benchmarks.pods

## ruff, mypy, `dbt parse`, and every source and campaign file, strictly
lint: $(MANIFEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/platform-assets check

## the documentation as a site, built strictly: what warns, fails
docs: $(VENV)/.installed
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "docs/_build/html/index.html"

## the JSON Schema of a campaign file, for editors
schema: $(VENV)/.installed
	$(BIN)/platform-assets schema --output defs/campaign.schema.json

## every lock anew, from what is declared
lock:
	./deploy/lock.sh
	./tests/emulators/lock.sh
	./tests/deploy/tools/lock.sh
	./benchmarks/quality/peer/lock.sh

## what the demo and dbt have written, gone
clean:
	rm -rf .data $(MANIFEST)
