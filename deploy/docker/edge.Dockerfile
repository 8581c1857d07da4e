# offbeat-edge and nothing else, a megabyte: docker build -f deploy/docker/edge.Dockerfile -t offbeat-edge:0.1.0 .
#   read-sensors | docker run --rm -i -v "$PWD/models/pump:/model:ro" offbeat-edge:0.1.0 score /model
FROM debian:bookworm-slim AS build
# The newest package of the release is the one with its fixes.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends cmake g++ make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cmake -S . -B /build -DCMAKE_BUILD_TYPE=Release -DOFFBEAT_EDGE_STATIC=ON \
    && cmake --build /build --target offbeat-edge \
    && install -D --strip /build/runtime/cpp/edge/offbeat-edge /out/offbeat-edge \
    && /out/offbeat-edge inspect runtime/cpp/tests/golden/repeat

FROM scratch
COPY --from=build /out/offbeat-edge /offbeat-edge
USER 10001:10001
ENTRYPOINT ["/offbeat-edge"]
CMD ["--help"]
