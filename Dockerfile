# The gateway: `radstream serve` as process 1 of an image without shell, compiler or package manager.
#
#   docker build --tag radstream .
#
# docs/images.md tells how to pin BASE by its digest, and what was measured.
ARG BASE=docker.io/library/debian:bookworm-slim

# --- what both Pythons, the one that builds and the one that runs, are made of ---------------------
FROM ${BASE} AS debian
# The versions are those of the day's Debian, as security updates demand; BASE's digest and the
# image's own fix the rest.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends binutils ca-certificates python3 python3-pip \
 && rm -rf /var/lib/apt/lists/*

# --- the locked dependencies, in a virtual environment without pip ---------------------------------
FROM debian AS dependencies
RUN python3 -m venv --without-pip /opt/radstream
COPY requirements/gateway.txt /src/requirements/gateway.txt
# Wheels alone: nothing is compiled here, so there is no compiler to leave behind.
RUN python3 -m pip --python /opt/radstream/bin/python install --no-cache-dir --no-compile --no-deps \
        --only-binary :all: --require-hashes --requirement /src/requirements/gateway.txt

# --- RadStream itself ------------------------------------------------------------------------------
FROM dependencies AS program
COPY pyproject.toml README.md LICENSE NOTICE /src/
COPY gateway /src/gateway
COPY preprocess /src/preprocess
RUN python3 -m pip --python /opt/radstream/bin/python install --no-cache-dir --no-deps \
        --no-build-isolation --target /opt/program /src

# --- the dependencies less what is never loaded ----------------------------------------------------
FROM dependencies AS slim
COPY docker/slim.py /src/docker/slim.py
COPY --from=program /opt/program /opt/program
# What built the wheel goes; the program's folder is known to Python from here on; the bytecode of
# all that is imported is written now, since the image is read-only where it runs.
RUN python3 -m pip --python /opt/radstream/bin/python uninstall --yes \
        editables hatchling pathspec pluggy trove-classifiers \
 && python3 /src/docker/slim.py /opt/radstream/lib/python3.11/site-packages \
 && echo /opt/program > /opt/radstream/lib/python3.11/site-packages/program.pth \
 && /opt/radstream/bin/python -c "\
import gateway.cli.main, imagecodecs, opentelemetry.sdk.trace, opentelemetry.exporter.otlp.proto.http; \
assert all(getattr(imagecodecs, name).available \
           for name in ('PACKBITS', 'HTJ2K', 'JPEG2K', 'JPEG8', 'JPEGLS'))"

# --- the files of Debian that Python and the wheels need, and no others ----------------------------
FROM debian AS root
SHELL ["/bin/bash", "-o", "errexit", "-o", "nounset", "-o", "pipefail", "-c"]
# Each package's copyright comes along, and its record where scanners look for it, as in Google's
# distroless images. A slim Debian has left out some of the files that its packages list. The gateway has a user and a group of its own number, and one writable folder beside /tmp: the spool's, and the store's where it is a folder.
RUN mkdir -p /root-fs/etc /root-fs/usr/bin /root-fs/usr/lib64 /root-fs/var/lib/dpkg/status.d; \
    for package in base-files libbz2-1.0 libc6 libcrypt1 libexpat1 libffi8 libgcc-s1 liblzma5 \
        libpython3.11-minimal libpython3.11-stdlib libssl3 libstdc++6 libuuid1 media-types \
        python3.11-minimal tzdata zlib1g; do \
        dpkg-query --listfiles "$package" \
            | grep --invert-match --extended-regexp \
                '^/\.$|/(gconv|man|locale|lintian|bug)(/|$)|^/usr/share/doc/.*/(changelog|NEWS|README)' \
            | while read -r file; do if [ -e "$file" ] || [ -L "$file" ]; then echo "$file"; fi; done \
            | tar --create --no-recursion --files-from - \
            | tar --extract --keep-directory-symlink --directory /root-fs; \
        dpkg-query --status "$package" > "/root-fs/var/lib/dpkg/status.d/$package"; \
    done; \
    cp --parents /etc/ssl/certs/ca-certificates.crt /root-fs; \
    ln -s python3.11 /root-fs/usr/bin/python3; \
    echo 'radstream:x:65532:65532::/tmp:/nonexistent' > /root-fs/etc/passwd; \
    echo 'radstream:x:65532:' > /root-fs/etc/group; \
    install --directory --mode 1777 /root-fs/tmp; \
    install --directory --owner 65532 --group 65532 /root-fs/var/lib/radstream

# --- the image -------------------------------------------------------------------------------------
FROM scratch AS gateway
ARG VERSION=unreleased
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="RadStream gateway" \
      org.opencontainers.image.description="The gateway between the hospital and its radiology AI models" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=root /root-fs /
COPY --from=slim /opt/radstream /opt/radstream
COPY --from=slim /opt/program /opt/program
COPY LICENSE NOTICE /usr/share/doc/radstream/
ENV PATH=/opt/program/bin:/opt/radstream/bin:/usr/bin \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    RADSTREAM_LOGS__FORMAT=json \
    RADSTREAM_HTTP__HOST=0.0.0.0
# On all addresses a gateway starts only where it is told who may call.
WORKDIR /var/lib/radstream
USER 65532:65532
EXPOSE 8080
# The gateway drains: readiness off, work in flight to its end, telemetry out.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('RADSTREAM_HTTP__PORT', '8080') + '/readyz', timeout=3)"]
ENTRYPOINT ["radstream"]
CMD ["serve"]
