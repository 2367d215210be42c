# One image for every process of the product: web, worker, beat, and management commands.
#
#   docker build -t offcut .                                               # serves u2net, and no other model
#   docker build -t offcut --build-arg MODELS=all .                        # serves any model of rembg's catalogue
#   docker build -t offcut --build-arg IMAGING_MODEL=isnet-general-use .   # the same, with these weights
#   docker build -t offcut-gpu --build-arg DEVICE=cuda .                   # x86-64; run it with IMAGING_DEVICE=cuda

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# --- Dependencies, exactly those of the requirements files -----------------------------------------
FROM ${PYTHON_IMAGE} AS dependencies
# Without bytecode: most modules are never imported. Those that are imported get theirs in the next stage.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_COMPILE=0
RUN python -m venv /opt/venv && /opt/venv/bin/pip uninstall --yes --quiet setuptools
ENV PATH=/opt/venv/bin:$PATH
COPY requirements.txt requirements-slim.txt requirements-fast.txt requirements-int8.txt requirements-gpu.txt /tmp/
# u2net needs none of rembg's packages: scipy, numba and scikit-image alone are 350 MB.
ARG MODELS=u2net
ARG IMAGING_MODEL=u2net
RUN case "$MODELS/$IMAGING_MODEL" in \
      u2net/u2net) pip install --require-hashes -r /tmp/requirements-slim.txt ;; \
      u2net/* | all/*) pip install --require-hashes -r /tmp/requirements.txt ;; \
      *) echo "MODELS must be u2net or all, got $MODELS" >&2; exit 1 ;; \
    esac
# The engines that may be fastest: MNN; for processors with INT8 instructions OpenVINO. Build on a processor like those that run
# it: the engines are timed during the build.
# For an NVIDIA GPU: another package has the same module, so the first must be removed before the second is installed.
ARG DEVICE=cpu
RUN case "$DEVICE" in \
      cpu) pip install --require-hashes -r /tmp/requirements-fast.txt -r /tmp/requirements-int8.txt ;; \
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

# What nothing here reads, 150 MB: OpenVINO's plugins for GPUs and NPUs, its readers of other formats than ONNX and its headers;
# tests of ONNX and numpy; ReDoc; sources of translations; descriptions of services of AWS, of which we use S3, and botocore those
# that give credentials for it.
RUN cd /opt/venv/lib/python3*/site-packages \
    && rm -rf openvino/include openvino/libs/cache.json openvino/libs/libopenvino_intel_[gn]pu_plugin.so onnx/backend/test/data \
      drf_spectacular_sidecar/static/drf_spectacular_sidecar/redoc \
    && for format in gguf jax paddle pytorch tensorflow tensorflow_lite; do \
         rm -rf "openvino/frontend/$format" openvino/libs/libopenvino_"$format"_frontend.so*; \
       done \
    && find numpy -depth -type d -name tests -exec rm -r {} + \
    && find . -name '*.po' -delete \
    && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name 'sso*' ! -name signin -exec rm -r {} +

# --- Model weights: fetched and verified once, in a separate layer --------------------------------
FROM dependencies AS weights
ARG IMAGING_MODEL=u2net
ENV U2NET_HOME=/weights VAR_DIR=/tmp/var
WORKDIR /app
COPY manage.py ./
COPY lib lib
COPY accounts accounts
COPY billing billing
COPY imaging imaging
COPY website website
COPY config config
# --lean: its engines share one copy of u2net's weights, 176 MB, instead of three.
RUN python manage.py prepare_model "$IMAGING_MODEL" --lean
# Has Python write the bytecode of what web processes and workers import, which saves each of them seconds at start. Makes no
# connections.
RUN DATABASE_URL=postgres://none REDIS_URL=redis://none CELERY_BROKER_URL=amqp://none python -c \
    'import config.wsgi, config.urls, celery.apps.beat, celery.apps.worker, celery.bin.celery, django_redis.cache, gunicorn.app.wsgiapp, \
    kombu.transport.pyamqp, lib.web.server.server, psycopg_pool, storages.backends.s3'

# --- What runs --------------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS runtime
ARG IMAGING_MODEL=u2net
RUN useradd --system --uid 10001 --create-home --home-dir /home/app app \
    && mkdir -p /var/app/pictures && chown -R app:app /var/app
COPY --from=weights /opt/venv /opt/venv
COPY --from=weights /weights /weights
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PRODUCTION=1 VAR_DIR=/var/app U2NET_HOME=/weights IMAGING_MODEL=${IMAGING_MODEL} \
    WEB_BIND=0.0.0.0:8000
WORKDIR /app
COPY . .
# PYTHONDONTWRITEBYTECODE keeps processes from writing; without bytecode each would compile the project at its start, for half a
# second of a core.
RUN python -m compileall -q accounts billing config imaging lib website
# Collecting static files needs settings but no secret: these two exist only for this command.
RUN SECRET_KEY=build API_KEY_PEPPER=build VAR_DIR=/tmp/var python manage.py collectstatic --noinput --verbosity 0 \
    && rm -rf /tmp/var
USER app
EXPOSE 8000
# Long enough for an image that waits for its turn: see graceful_timeout in config/gunicorn.py.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["python", "scripts/healthcheck.py"]
CMD ["gunicorn", "-c", "config/gunicorn.py", "config.wsgi:application"]
