# The two commands a new user types are `make demo` and `make test`; each sets up what it needs.
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
DBT_FILES := $(shell find dbt_project -type f \( -name '*.sql' -o -name '*.yml' \) -not -path '*/target/*')

# BigQuery and GCS on this machine, in an environment of their own: they need a newer Python than the platform.
EMULATORS := $(abspath .emulators)
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

.PHONY: environment manifest emulators cluster demo ui tensorboard test test-without-cluster test-fast test-bigquery test-cluster parity dbt-state slim-ci programs benchmark benchmark-budget benchmark-pods benchmark-quality lint docs schema lock clean

environment: $(VENV)/.installed

$(VENV)/.installed: requirements.lock deploy/bootstrap.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r deploy/bootstrap.lock
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	$(UV) --no-deps --require-hashes -r requirements.lock
	$(UV) --no-deps --no-build-isolation --editable .
	touch $@

manifest: $(MANIFEST)

$(MANIFEST): $(VENV)/.installed $(DBT_FILES)
	$(BIN)/platform-assets manifest

emulators: $(EMULATORS)/.installed

$(EMULATORS)/.installed: tests/emulators/requirements.lock tests/emulators/install.sh | $(VENV)/.installed
	tests/emulators/install.sh $(EMULATORS) $(BIN)/uv

$(DAGSTER_HOME)/dagster.yaml: deploy/local/dagster.yaml
	mkdir -p $(DAGSTER_HOME)
	cp $< $@

# What models are fitted now, and were before; steps link to it when PLATFORM_TENSORBOARD_URL names where it is served.
tensorboard: $(VENV)/.installed
	mkdir -p $(PLATFORM_DATA)/tensorboard
	$(BIN)/tensorboard --load_fast=false --logdir $(PLATFORM_DATA)/tensorboard --host 127.0.0.1 --port 6006 --reload_interval 5

demo: $(MANIFEST) $(DAGSTER_HOME)/dagster.yaml
	$(BIN)/python -m samples.demo

ui: $(MANIFEST) $(DAGSTER_HOME)/dagster.yaml
	$(BIN)/dagster dev -w workspace.yaml

# Side by side: tests on the cluster mostly wait for pods. Each prints when it is done.
test: $(MANIFEST) programs emulators cluster
	$(MAKE) --jobs=2 --output-sync=target test-without-cluster test-cluster

# In order of files: by number of tests, as xdist would have it, the files of few and long tests come last, and one process
# waits for the other.
test-without-cluster: $(MANIFEST) programs emulators
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadscope --no-loadscope-reorder --durations=25 -m "not cluster and not kubelet" --require-emulators

test-fast: $(MANIFEST)
	$(BIN)/python -m pytest -m "not slow and not bigquery and not cluster and not kubelet"

test-bigquery: $(MANIFEST) $(if $(PROJECT),,emulators)
	$(BIN)/python -m pytest -m bigquery $(if $(PROJECT),--google-project=$(PROJECT),--require-emulators)

# The programs are there or are built; the script knows.
cluster:
	tests/cluster/build.sh $(CLUSTER)

test-cluster: $(MANIFEST) programs emulators $(if $(CLUSTER_KUBECONFIG),,cluster)
	$(BIN)/python -m pytest -m "cluster or kubelet" $(if $(CLUSTER_KUBECONFIG),--kubeconfig=$(CLUSTER_KUBECONFIG),--require-cluster) --require-emulators

# The whole demo on DuckDB and on the emulators, every mart, feature table and audience compared row by row.
parity: $(MANIFEST) emulators
	$(BIN)/python -m tests.parity

# What a pull request changed, built in a stage of its own (deploy/bigquery/README.md). `dbt-state` runs on the deployed
# commit with its PLATFORM_STAGE, so that STATE names its datasets; the separate target keeps the local manifest as it is.
STATE ?= $(PLATFORM_DATA)/dbt-state
DBT_PROJECT := --project-dir dbt_project --profiles-dir dbt_project

dbt-state: $(VENV)/.installed
	$(BIN)/dbt parse $(DBT_PROJECT) --target-path $(abspath $(STATE))

slim-ci: $(VENV)/.installed
	$(BIN)/dbt build --select state:modified+ --defer --favor-state --state $(abspath $(STATE)) $(DBT_PROJECT) \
	    --target-path $(PLATFORM_DATA)/slim-ci

# What tests drive besides Python: a browser, kubectl, promtool, a C compiler, containerd.
programs:
	tests/install_programs.sh

benchmark: $(MANIFEST)
	$(BIN)/python -m benchmarks.orchestration

# The demo's campaigns with `models: auto`: CPU-seconds against the budget of their files.
benchmark-budget: $(MANIFEST)
	$(BIN)/python -m benchmarks.budget

# Ours against AutoGluon, which has an environment of its own (2.2 GB). Hours; cells that are kept are not run again.
benchmark-quality: $(MANIFEST) $(AUTOGLUON)/.installed
	$(BIN)/python -m benchmarks.quality run
	$(BIN)/python -m benchmarks.quality table

$(AUTOGLUON)/.installed: benchmarks/quality/peer/requirements.lock | $(VENV)/.installed
	TORCH="$(TORCH)" benchmarks/quality/peer/install.sh $(AUTOGLUON) $(PYTHON)

benchmark-pods: $(MANIFEST) emulators cluster
	$(BIN)/python -m benchmarks.pods

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

schema: $(VENV)/.installed
	$(BIN)/platform-assets schema --output platform_assets/defs/campaign.schema.json

lock:
	./deploy/lock.sh
	./tests/emulators/lock.sh
	./benchmarks/quality/peer/lock.sh

clean:
	rm -rf .data $(MANIFEST)
