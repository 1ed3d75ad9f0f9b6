# `plait serve` on CPU: a small image that runs as nobody in particular, on a file system that is read-only.
#
#   docker build -t plait .
#   docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -v "$PWD/model:/model:ro" -p 127.0.0.1:8000:8000 plait
#
# See docs/serving.md, "In a container".

ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
# An index that has CPU builds of PyTorch makes the image some GB smaller; without one the ordinary index is asked.
ARG TORCH_INDEX=""
# Encoders to bake in, such as "minilm efficientnet-lite0"; none: they are mounted at /cache.
ARG WEIGHTS=""
ARG EXTRAS="serve,audio"
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/plait
ENV PATH=/opt/plait/bin:$PATH PLAIT_CACHE=/cache
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN if [ -n "$TORCH_INDEX" ]; then pip install --index-url "$TORCH_INDEX" -c constraints.txt torch torchvision; fi
COPY src src
RUN pip install --compile -c constraints.txt ".[${EXTRAS}]"
RUN mkdir -p /cache && for name in $WEIGHTS; do plait weights fetch "$name" || exit 1; done

FROM python:${PYTHON}-slim
COPY --from=build /opt/plait /opt/plait
COPY --from=build /cache /cache
# Weights lie in /cache, read-only; whatever a library wants to remember goes to /tmp and with the container.
ENV PATH=/opt/plait/bin:$PATH \
    PLAIT_CACHE=/cache \
    HOME=/tmp \
    TMPDIR=/tmp \
    HF_HOME=/tmp/huggingface \
    HF_HUB_OFFLINE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=4).read()"]
ENTRYPOINT ["plait", "serve"]
CMD ["/model", "--host", "0.0.0.0"]
