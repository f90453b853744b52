# Everything a fresh Linux machine with Python 3.11+ needs:
#   make run    the gateway and a real Triton on http://127.0.0.1:8080
#   make check  the tests that need no server
#   make test   the whole test suite
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# ONNX Runtime's wheel would report its use to Microsoft.
export ORT_DISABLE_TELEMETRY = 1
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# The locks are complete, so pip resolves nothing (--no-deps) and checks every hash.
LOCKED := $(PIP) --no-deps --require-hashes

.PHONY: run check test benchmarks lint sbom audit lock schema docs clean

run: $(VENV)/run.stamp
	@exec $(BIN)/radstream up

# All tests that need no server and nothing but Python's packages and are not long, in three
# minutes on two cores. More processes than cores, since some tests wait.
check: $(VENV)/dev.stamp
	$(BIN)/pytest --numprocesses 4 --dist worksteal -m "not server and not long" \
		tests/bench tests/contract tests/gateway tests/preprocess

test: $(VENV)/dev.stamp $(VENV)/tools.stamp
	$(BIN)/pytest --numprocesses 2 --dist loadfile

# The parts of a study's way beside what they were; being slower is no failure.
benchmarks: $(VENV)/dev.stamp
	$(BIN)/python -m bench.compare

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# What the images, the tools and the models are made of, as CycloneDX, and whether any of it is known
# to be vulnerable: OSV_DB=FOLDER asks a mirror of OSV, STRICT=1 fails where it was not audited.
sbom: $(VENV)/dev.stamp
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements/gateway.txt --pyproject pyproject.toml \
		--sv 1.6 --of JSON --output-reproducible --short-PURLs --validate -o dist/sbom.cdx.json
	@# Of the lock, what docker/triton-cpu.Dockerfile takes.
	awk '/^[a-z]/ {kept = /^(numpy|onnxruntime|flatbuffers|protobuf|packaging)==/} kept' \
		requirements/run.txt | cat requirements/triton.txt - > dist/triton-cpu.txt
	$(BIN)/cyclonedx-py requirements dist/triton-cpu.txt \
		--sv 1.6 --of JSON --output-reproducible --short-PURLs --validate -o dist/triton-cpu.cdx.json
	$(BIN)/python .ci/sbom npm serverless/package-lock.json tests/helm/crds/package-lock.json tests/gateway/dimse/dcmjs/package-lock.json tests/gateway/console/browser/package-lock.json tests/gateway/dicomweb/peers/package-lock.json tests/gateway/delivery/peers/package-lock.json > dist/npm.cdx.json
	$(BIN)/python .ci/sbom models model_repository > dist/models.cdx.json
	$(MAKE) --no-print-directory audit

# ROOTFS=FOLDER adds Debian's packages of an image that was unpacked there.
audit: $(VENV)/dev.stamp
	$(if $(ROOTFS),$(BIN)/python .ci/sbom debian $(ROOTFS) > dist/debian.cdx.json)
	$(BIN)/python .ci/audit $(if $(STRICT),--strict) dist/*.cdx.json

# Rewrites the locks from pyproject.toml for every supported Python and platform.
lock: $(VENV)/dev.stamp
	requirements/lock

# Rewrites the settings in the chart's schema from gateway/settings.
schema: $(VENV)/dev.stamp
	$(BIN)/python helm/settings_schema.py

# Rewrites what docs/settings.md, metrics.md, problems.md and cli.md take from the code.
docs: $(VENV)/dev.stamp
	$(BIN)/python docs/generate.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "RadStream needs Python 3.11 or newer (PYTHON=$(PYTHON))" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: install python3-venv (Debian, Ubuntu)" >&2; rm -rf $(VENV); exit 1; }

$(VENV)/run.stamp: requirements/run.txt requirements/triton.txt pyproject.toml | $(VENV)/bin/python
	$(LOCKED) -r requirements/run.txt
	$(LOCKED) -r requirements/triton.txt || echo "No Triton wheel for this platform: see 'radstream up'" >&2
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	$(LOCKED) -r requirements/dev.txt
	@touch $@

$(VENV)/tools.stamp: .ci/install-tools .ci/checkov.txt .ci/compose.txt .ci/kubernetes.txt .ci/ohif.sha512 serverless/package-lock.json tests/helm/crds/package-lock.json tests/gateway/dimse/dcmjs/package-lock.json tests/gateway/console/browser/package-lock.json tests/gateway/dicomweb/peers/package-lock.json tests/gateway/delivery/peers/package-lock.json | $(VENV)/bin/python
	.ci/install-tools
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
