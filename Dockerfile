# Two images from one file: `product` has everything that runs in production, `simulators` only the stand-ins of Chargebee and Exact.
# Dependencies come from the lock with their hashes. Which index they come from is the builder's setting (pip's configuration),
# never this file's. The images run as an unprivileged user and write nowhere but /tmp and /data.

FROM python:3.11-slim-bookworm AS python
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

# The build tools come from the development lock; nothing of this stage but the wheels reaches an image.
FROM python AS wheels
WORKDIR /src
COPY requirements-dev.lock ./
RUN python -m pip install --require-hashes -r requirements-dev.lock
COPY shared shared
COPY services services
COPY console console
COPY simulators simulators
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels \
    ./shared ./services/ingest ./services/mapper ./services/exact-writer ./services/payment-matcher ./console ./simulators

FROM python AS dependencies
COPY requirements.lock ./
RUN python -m venv /opt/kruispost && /opt/kruispost/bin/python -m pip install --require-hashes -r requirements.lock

FROM dependencies AS install-product
COPY --from=wheels /wheels /wheels
RUN rm /wheels/kruispost_simulators-*.whl \
    && /opt/kruispost/bin/python -m pip install --no-deps --no-index /wheels/*.whl \
    && /opt/kruispost/bin/python -m compileall -q /opt/kruispost/lib

FROM dependencies AS install-simulators
COPY --from=wheels /wheels /wheels
RUN /opt/kruispost/bin/python -m pip install --no-deps --no-index /wheels/kruispost_simulators-*.whl \
    && /opt/kruispost/bin/python -m compileall -q /opt/kruispost/lib

FROM python AS runtime
RUN groupadd --gid 10001 kruispost \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin kruispost \
    && install --directory --owner 10001 --group 10001 /data
ENV PATH=/opt/kruispost/bin:$PATH
WORKDIR /data
USER 10001:10001

FROM runtime AS simulators
COPY --from=install-simulators /opt/kruispost /opt/kruispost
EXPOSE 9001 9002
CMD ["python", "-m", "simulators", "world", "--host", "0.0.0.0", "--chargebee-port", "9001", "--exact-port", "9002"]

FROM runtime AS product
COPY --from=install-product /opt/kruispost /opt/kruispost
ENV KRUISPOST_HOST=0.0.0.0 \
    KRUISPOST_CONFIG=/etc/kruispost/kruispost.yaml \
    KRUISPOST_DATA_DIR=/data
EXPOSE 8080 8081 8082 8083 8084
# Without a command of its own the image runs all services in one process, on the engines that the settings choose.
CMD ["kruispost", "run"]
