# One image for every process of the product: web, worker, beat, and management commands.
#
#   docker build -t background-removal .
#   docker build -t background-removal --build-arg IMAGING_MODEL=isnet-general-use .
#   docker build -t background-removal-gpu --build-arg DEVICE=cuda .       # x86-64; run it with IMAGING_DEVICE=cuda

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# --- Dependencies, exactly those of requirements.txt ----------------------------------------------
FROM ${PYTHON_IMAGE} AS dependencies
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.txt requirements-fast.txt requirements-gpu.txt /tmp/
RUN pip install --require-hashes -r /tmp/requirements.txt
# For processors with INT8 instructions: OpenVINO. Build on one that has them, too: the INT8 weights are made with the image.
# For an NVIDIA GPU: the same module from another package, so that the one must go before the other comes.
ARG DEVICE=cpu
RUN case "$DEVICE" in \
      cpu) pip install --require-hashes -r /tmp/requirements-fast.txt ;; \
      cuda) pip uninstall --yes onnxruntime && pip install --require-hashes -r /tmp/requirements-gpu.txt ;; \
      *) echo "DEVICE must be cpu or cuda, got $DEVICE" >&2; exit 1 ;; \
    esac

# Optional: traces.
ARG EXTRAS=
COPY requirements-otel.txt /tmp/
RUN case "$EXTRAS" in \
      "") ;; \
      otel) pip install --require-hashes -r /tmp/requirements-otel.txt ;; \
      *) echo "EXTRAS must be empty or otel, got $EXTRAS" >&2; exit 1 ;; \
    esac

# --- Model weights: fetched and verified once, a layer of their own -------------------------------
FROM dependencies AS weights
ARG IMAGING_MODEL=u2net
ENV U2NET_HOME=/weights VAR_DIR=/tmp/var
WORKDIR /app
COPY manage.py ./
COPY config config
COPY accounts accounts
COPY billing billing
COPY imaging imaging
RUN python manage.py prepare_model "$IMAGING_MODEL"

# --- What runs --------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS runtime
ARG IMAGING_MODEL=u2net
RUN useradd --system --uid 10001 --create-home --home-dir /home/app app \
    && mkdir -p /var/app/pictures && chown -R app:app /var/app
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=weights /weights /weights
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PRODUCTION=1 VAR_DIR=/var/app U2NET_HOME=/weights IMAGING_MODEL=${IMAGING_MODEL} \
    WEB_BIND=0.0.0.0:8000
WORKDIR /app
COPY . .
# Collecting static files needs settings and no secret: these two are gone with the command.
RUN SECRET_KEY=build API_KEY_PEPPER=build VAR_DIR=/tmp/var python manage.py collectstatic --noinput --verbosity 0 \
    && rm -rf /tmp/var
USER app
EXPOSE 8000
# Long enough for a picture that waits for its turn: see graceful_timeout in config/gunicorn.py.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["python", "scripts/healthcheck.py"]
CMD ["gunicorn", "-c", "config/gunicorn.py", "config.wsgi:application"]
