# Triton for machines without a GPU: the server of NVIDIA's nvidia-pytriton wheel (2.51, the same as
# in container 24.10) with RadStream's Python-based onnxruntime backend and the model repository.
#
#   docker build --file docker/triton-cpu.Dockerfile --tag radstream-triton .
#
# docs/images.md compares it with NVIDIA's image.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS debian
# The day's Debian, as security updates demand; libpython3.11 is what the backend's process links to.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates libpython3.11 python3 \
 && rm -rf /var/lib/apt/lists/*

FROM debian AS builder
SHELL ["/bin/bash", "-o", "errexit", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update; apt-get install --yes --no-install-recommends python3-pip; \
    rm -rf /var/lib/apt/lists/*
COPY requirements/run.txt requirements/triton.txt /src/requirements/
# Of the lock, what the backend imports. Its process takes the first python3 on PATH for itself: this
# environment's.
RUN python3 -m venv --without-pip /opt/triton; \
    awk '/^[a-z]/ {kept = /^(numpy|onnxruntime|flatbuffers|protobuf|packaging)==/} kept' \
        /src/requirements/run.txt > /src/requirements/backend.txt; \
    for lock in backend triton; do \
        python3 -m pip --python /opt/triton/bin/python install --no-cache-dir --no-compile --no-deps \
            --only-binary :all: --require-hashes --requirement "/src/requirements/$lock.txt"; \
    done
COPY gateway/triton/embedded/onnxruntime_backend/model.py /src/model.py
RUN packages=/opt/triton/lib/python3.11/site-packages; wheel=$packages/pytriton/tritonserver; \
    mkdir -p /opt/tritonserver/backends/onnxruntime; \
    mv "$wheel/bin" "$packages/nvidia_pytriton.libs" /opt/tritonserver/; \
    mv "$wheel/backends/python" /opt/tritonserver/backends/python; \
    mv "$wheel/python_backend_stubs/3.11/triton_python_backend_stub" /opt/tritonserver/backends/python/; \
    cp /src/model.py /opt/tritonserver/backends/onnxruntime/; \
    rm -r "$packages"/*pytriton*; find "$packages" -name tests -prune -exec rm -r {} +; \
    PATH=/opt/triton/bin:$PATH python3 -m compileall -q "$packages/onnxruntime" "$packages/numpy"

FROM debian AS triton-cpu
ARG VERSION=unreleased
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="RadStream Triton for CPUs" \
      org.opencontainers.image.description="Triton Inference Server, its ONNX backend and RadStream's models" \
      org.opencontainers.image.licenses="BSD-3-Clause AND Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=builder /opt/tritonserver /opt/tritonserver
COPY --from=builder /opt/triton /opt/triton
COPY model_repository /models
COPY docker/triton-entrypoint /usr/bin/radstream-triton
# No CUDA device: every instance group of KIND_AUTO is one of KIND_CPU.
ENV PATH=/opt/tritonserver/bin:/opt/triton/bin:/usr/bin:/bin \
    LD_LIBRARY_PATH=/opt/tritonserver/nvidia_pytriton.libs \
    HOME=/tmp \
    CUDA_VISIBLE_DEVICES="" \
    ORT_DISABLE_TELEMETRY=1
USER 65532:65532
EXPOSE 8001 8002
STOPSIGNAL SIGTERM
# HTTP is off, so this asks whether the server lives; that models answer is the gateway's to find out.
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8002/metrics', timeout=3)"]
ENTRYPOINT ["radstream-triton", "tritonserver", "--backend-directory=/opt/tritonserver/backends", "--model-repository=/models", \
    "--model-control-mode=explicit", "--load-model=*", "--exit-on-error=false", "--allow-http=false", \
    "--pinned-memory-pool-byte-size=0", "--allow-gpu-metrics=false"]
