# One image for chain, hub and nodes; the command says which. Not yet built on a machine with a container engine:
# tests/architecture/test_deployment.py checks that every command, port, volume and environment name exists.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements/product.txt requirements/product.txt
RUN python -m venv /opt/ecohub && /opt/ecohub/bin/pip install --no-cache-dir --require-hashes -r requirements/product.txt
COPY . .
RUN python -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir build hatchling \
 && /opt/build/bin/python -m build --wheel --no-isolation --outdir /dist . \
 && /opt/ecohub/bin/pip install --no-cache-dir --no-deps /dist/*.whl

FROM python:3.11-slim
COPY --from=build /opt/ecohub /opt/ecohub
ENV PATH=/opt/ecohub/bin:$PATH PYTHONUNBUFFERED=1 FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1
RUN useradd --create-home --uid 10001 ecohub && mkdir -p /var/lib/ecohub && chown ecohub:ecohub /var/lib/ecohub
USER ecohub
WORKDIR /var/lib/ecohub
ENTRYPOINT ["ecohub"]
