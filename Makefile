# make run     from a fresh clone to a running LeaderWorkerSet on the embedded sandbox; CONTROL_PLANE=real on a real one;
#              ARGS="--preset gpu-rack examples/07-exclusive-topology.yaml" for another cluster or manifest
# make test    the suite; PKG=informers only what is under tests/informers, COVERAGE=1 says what it leaves out
# make check   lint, types, import contracts, simulated lives, and the suite with warnings as errors
# make test-long   many more seeds, storms and recordings in full; make test-nightly takes hours
# make mutate   plants faults and says which of them no test notices; ROOM=workqueue, or one module: ROOM=runtime.leader
# make simulate   SEEDS=200 simulated lives, ROLES=1 with a DisaggregatedSet too; SEED=17 runs one again
# make control-plane   a real control plane of K8S=1.36, with kubectl and Helm, built with Go; NODE=1 kubelet too,
#              PARTNERS=1 Kueue, cert-manager, Go clients and Grafana too
# make test-real   what asks for a real control plane, on that one or on KUBEBUILDER_ASSETS; writes docs/compatibility.md
# make test-node   the image on a real kubelet, containerd and kube-proxy, as root, in namespaces of their own
# make test-browser   the page in Chromium; make screenshots its pictures; make docs the documentation as a site
# make bench / make bench-sandbox   what the controller costs, and what the sandbox's API server does; make bench-peer
#              the first on a real control plane, beside any other controller
# make generate / lock / bundle / pictures   write generated files / locks / the OLM bundle / pictures anew
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN_STAMP := $(VENV)/.installed-run
BROWSER_STAMP := $(VENV)/.installed-browser
MUTATE_STAMP := $(VENV)/.installed-mutate
DOCS_VENV := $(VENV)/docs
DOCS_STAMP := $(VENV)/.installed-docs
ONCE ?=
PKG ?=
AGAIN ?=
COVERAGE ?=
ARGS ?=
CONTROL_PLANE ?= sandbox
K8S ?= 1.36
NODE ?=
PARTNERS ?=
CACHE ?=
CONTROL_PLANES = $(or $(PYTHON),python3) hack/control_plane.py $(1) $(K8S) $(if $(CACHE),--cache '$(CACHE)')
ASSETS = $(or $(KUBEBUILDER_ASSETS),$(shell $(call CONTROL_PLANES,where) 2>/dev/null))
WORKERS ?= 2
SETS ?= 100
GROUPS ?= 2
SIZE ?= 2
PODS ?= 10000
PEERS ?=
SVG ?=
SEEDS ?= 200
SEED ?=
ROOM ?=

# AGAIN=1 runs only what failed the last time.
ONLY_FAILED = $(if $(AGAIN),--last-failed --last-failed-no-failures none)

.DEFAULT_GOAL := help
.PHONY: test-node test-browser screenshots docs bench-page help run test test-long test-nightly mutate control-plane test-real test-real-ci simulate check lint types contracts generate bundle pictures lock bench bench-peer bench-sandbox clean

help:
	@sed -n 's/^# //p' Makefile | head -15

$(STAMP): requirements-dev.lock pyproject.toml sandbox/pyproject.toml hack/install.sh
	@hack/install.sh dev $(VENV) $(PYTHON)
	@touch $@ $(RUN_STAMP)

$(RUN_STAMP): sandbox/requirements.lock pyproject.toml sandbox/pyproject.toml hack/install.sh
	@hack/install.sh run $(VENV) $(PYTHON)
	@touch $@

$(BROWSER_STAMP): $(STAMP) requirements-browser.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements-browser.lock
	@touch $@

$(MUTATE_STAMP): $(STAMP) requirements-mutate.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements-mutate.lock
	@touch $@

$(DOCS_STAMP): $(STAMP) requirements-docs.lock
	@test -x $(DOCS_VENV)/bin/python || $(BIN)/python -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements-docs.lock
	@touch $@

# Ctrl-C is passed over until the command itself can end in order: Python prints a traceback for one that comes early.
run: $(RUN_STAMP)
	@trap '' INT; ONCE=$(ONCE) KUBEBUILDER_ASSETS='$(ASSETS)' exec $(BIN)/python -m lws_sandbox.quickstart --control-plane $(CONTROL_PLANE) $(ARGS)

test: $(STAMP)
	PATH="$(addsuffix :,$(ASSETS))$$PATH" $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal \
		$(ONLY_FAILED) $(if $(COVERAGE),--cov --cov-report=term:skip-covered) $(if $(PKG),$(wildcard tests/$(PKG) sandbox/tests/$(PKG)))

# Needs Chromium on the PATH: Debian calls its package chromium.
test-browser: $(BROWSER_STAMP) $(DOCS_STAMP)
	$(BIN)/python -m pytest -m browser $(ONLY_FAILED)

screenshots: $(BROWSER_STAMP)
	$(BIN)/python -m hack.screenshots

# Into build/site, with a search of its own; nothing in it comes from elsewhere.
docs: $(DOCS_STAMP)
	$(BIN)/python -m hack.site

test-long: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "long and not real" $(ONLY_FAILED)

test-nightly: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "nightly and not real"

# Takes hours for all rooms; goes on where it was stopped.
mutate: $(MUTATE_STAMP)
	$(BIN)/python -m hack.mutate --workers $(WORKERS) $(ROOM)

# One life again tells all of it; of many, those that fail do, and how to run them again.
simulate: $(STAMP)
	$(BIN)/python -m tests.simulation $(if $(ROLES),--roles) $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

check: lint types contracts simulate test

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

generate: $(STAMP)
	$(BIN)/python -m hack.generate

# Takes OPERATOR_IMAGE and OPERAND_IMAGE from the environment.
bundle: $(STAMP)
	$(BIN)/python -m hack.bundle

# What pages show of terminals and of what happens over time, captured anew; needs kubectl.
pictures: $(STAMP)
	$(BIN)/python -m hack.pictures
	$(BIN)/python -m hack.scenes
	$(BIN)/python -m hack.tour

lock: $(STAMP)
	UV=$(BIN)/uv hack/lock.sh

control-plane:
	@$(call CONTROL_PLANES,build) $(if $(NODE),--node) $(if $(PARTNERS),--partners)

# Needs KUBEBUILDER_ASSETS to name a folder with etcd and kube-apiserver, or a control plane that was built; without
# either it skips, and says how to get one.
test-real: $(STAMP)
	@export KUBEBUILDER_ASSETS='$(ASSETS)'; status=0; \
	$(BIN)/python -m pytest -m real --junitxml=$(VENV)/real.xml || status=$$?; \
	[ -z '$(ASSETS)' ] || $(BIN)/python -m hack.compatibility $(VENV)/real.xml; exit $$status

# What of it every submission must pass, and not by skipping.
REAL_CI := tests/drift tests/e2e/test_install.py tests/e2e/test_real_control_plane.py \
	$(patsubst %,tests/real/test_%.py,creation kubectl_lws lifetime recovery rollout ownership equality process kserve) \
	tests/acceptance/disaggregatedset/test_admission.py
test-real-ci: $(STAMP)
	KUBEBUILDER_ASSETS='$(ASSETS)' $(BIN)/python -m pytest -m real \
		$(if $(AGAIN),$(ONLY_FAILED),-p tests.passed --at-least-passed 30) $(REAL_CI)

# A real kubelet in namespaces of its own: needs root, Debian's containerd, runc, containernetworking-plugins, nftables,
# conntrack and busybox-static, and `make control-plane NODE=1`; without, it says what is missing.
test-node: $(STAMP)
	KUBEBUILDER_ASSETS='$(ASSETS)' $(BIN)/python -m tests.node $(ARGS)

bench: $(STAMP)
	$(BIN)/python -m hack.bench $(SETS) $(GROUPS) $(SIZE)

# A controller beside ours: PEERS='reference=manager --config {config} --kubeconfig {kubeconfig}'; SVG=FILE draws a chart.
bench-peer: $(STAMP)
	KUBEBUILDER_ASSETS='$(ASSETS)' $(BIN)/python -m hack.peer --sets $(SETS) --groups $(GROUPS) --size $(SIZE) \
		$(if $(SVG),--svg '$(SVG)') $(if $(PEERS),'$(PEERS)')

bench-page: SETS = 1000
bench-page: $(BROWSER_STAMP)
	$(BIN)/python -m hack.bench_page $(SETS)

bench-sandbox: $(STAMP)
	$(BIN)/python -m sandbox.hack.bench $(PODS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
