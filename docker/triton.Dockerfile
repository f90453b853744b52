# Triton for GPUs: NVIDIA's image less every backend but onnxruntime, with the model repository.
#
#   docker build --file docker/triton.Dockerfile --tag radstream-triton .
#
# docs/images.md tells what this saves, and that it was never built where RadStream is tested.
ARG TRITON=nvcr.io/nvidia/tritonserver:26.05-py3

FROM ${TRITON} AS trimmed
# Other backends with the libraries that only they use, TensorRT, and what compiles against CUDA.
# Leaving files out makes no layer smaller, which is why the image is copied into an empty one below.
RUN find /opt/tritonserver/backends -mindepth 1 -maxdepth 1 ! -name onnxruntime -exec rm -r {} + \
 && rm -rf /opt/tensorrt /opt/tritonserver/caches /opt/tritonserver/include /opt/tritonserver/python \
        /opt/tritonserver/repoagents /usr/include /usr/local/cuda/include /usr/local/lib/python3* \
        /usr/share/doc /usr/src \
 && find /usr -name 'libnvinfer*' -delete \
 && find /usr /opt -name '*.a' -delete

FROM scratch AS triton
ARG VERSION=unreleased
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="RadStream Triton for GPUs" \
      org.opencontainers.image.description="Triton Inference Server, its ONNX backend and RadStream's models" \
      org.opencontainers.image.licenses="LicenseRef-NVIDIA-Deep-Learning-Container AND Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
# The whole of it is meant: what was not wanted is gone.
# hadolint ignore=DL3067
COPY --from=trimmed / /
COPY model_repository /models
COPY docker/triton-entrypoint /usr/bin/radstream-triton
# NVIDIA's own variables, which the empty image does not inherit.
ENV PATH=/opt/tritonserver/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/bin:/bin \
    LD_LIBRARY_PATH=/usr/local/cuda/compat/lib:/usr/local/nvidia/lib:/usr/local/nvidia/lib64:/usr/local/cuda/lib64 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    HOME=/tmp \
    ORT_DISABLE_TELEMETRY=1
USER 65532:65532
EXPOSE 8001 8002
STOPSIGNAL SIGTERM
ENTRYPOINT ["radstream-triton", "tritonserver", "--model-repository=/models", "--model-control-mode=explicit", \
    "--load-model=*", "--exit-on-error=false", "--allow-http=false"]
