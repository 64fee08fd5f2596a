#!/bin/sh
# Writes the hash-locked dependency files anew. They name no index: pip asks the one it is set up with.
set -eu
cd "$(dirname "$0")/.."
uv="${UV:-.venv/bin/uv}"
lock() {
    out=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-emit-find-links --no-header --no-annotate --no-emit-package lws-controller -o "$out" "$@"
}
lock requirements.lock pyproject.toml                                        # the product
lock sandbox/requirements.lock pyproject.toml sandbox/pyproject.toml         # the product and the sandbox: `make run`
lock requirements-dev.lock pyproject.toml sandbox/pyproject.toml --group dev # all that `make check` needs
lock requirements-browser.lock --group browser -c requirements-dev.lock      # `make test-browser`, beside the above
lock requirements-docs.lock --group docs                                     # `make docs`
lock requirements-mutate.lock --group mutate -c requirements-dev.lock        # `make mutate`, beside those of `check`
