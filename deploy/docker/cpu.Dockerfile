# The gRPC server on a CPU: docker build -f deploy/docker/cpu.Dockerfile -t offbeat:0.1.0 .
FROM python:3.11-slim-bookworm AS build
# Only this stage has a compiler; CMake and the rest of the build come from PyPI. The newest package of the release is the one with its fixes.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends g++ make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN python -m venv --without-pip /opt/offbeat \
    && pip --python /opt/offbeat/bin/python install --no-cache-dir --constraint constraints.txt '.[cpu,server]' \
    && /opt/offbeat/bin/python -c 'import offbeat.native; offbeat.native.Session'

FROM python:3.11-slim-bookworm
COPY --from=build /opt/offbeat /opt/offbeat
ENV PATH=/opt/offbeat/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# ONNX Runtime would send usage data to its makers, and write a file for that.
ENV ORT_DISABLE_TELEMETRY=1
ENV OFFBEAT_HOST=0.0.0.0 OFFBEAT_PORT=9000 OFFBEAT_METRICS_HOST=0.0.0.0 OFFBEAT_METRICS_PORT=8002 OFFBEAT_LOG_FORMAT=json
EXPOSE 9000 8002
USER 10001:10001
ENTRYPOINT ["offbeat"]
# Beyond loopback offbeat asks for TLS, or for --insecure where somebody else sees to it: docs/kubernetes.md.
CMD ["serve", "/mnt/models"]
