# The project in its pinned environment, for a CPU:
#
#   docker build -t bitnet-small-scale .
#   docker run --rm -v "$PWD/results:/project/results" bitnet-small-scale snakemake quick
#
# For a GPU, `docker build --build-arg torch_index= ...` takes the build of PyTorch with CUDA, and
# `docker run --gpus all ...` shows it the GPU.
FROM python:3.11-slim-bookworm

ARG torch_index=https://download.pytorch.org/whl/cpu

# torch.compile wants a compiler. Its version follows Debian's updates.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /project
COPY constraints.txt ./
# The index of torch has not all else in the pinned versions, so this takes the pin of torch alone.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir "$(grep '^torch==' constraints.txt)" \
    ${torch_index:+--index-url "$torch_index"}

COPY . .
RUN pip install --no-cache-dir -c constraints.txt -e .

CMD ["snakemake", "quick"]
