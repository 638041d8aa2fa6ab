#!/usr/bin/env bash
# What the gateway adds to a request, in turns with others: straight to the provider, nginx as the plainest proxy, and
# LiteLLM's and Portkey's gateways. `gateway.sh target/release/api-keys [--quick] [--before OTHER]`; needs wrk, nginx and npm.
# Without the others, and with no more than wrk and nginx: `gateway.py target/release/api-keys`.
# The others are installed into target/bench-peers, or where BENCH_PEERS says.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary=$(realpath "$1")
shift
peers=$(realpath -m "${BENCH_PEERS:-$here/../target/bench-peers}")
for tool in wrk nginx npm python3; do
    command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
done
mkdir -p "$peers"
list=$here/../tests/outside/litellm-requirements.txt
if ! cmp -s "$list" "$peers/litellm/installed.txt"; then
    python3 -m venv "$peers/litellm"
    "$peers/litellm/bin/python" -m pip install --quiet --disable-pip-version-check -r "$list"
    cp "$list" "$peers/litellm/installed.txt"
fi
if ! cmp -s "$here/peers.txt" "$peers/installed.txt"; then
    xargs npm install --prefix "$peers" --silent --no-audit --no-fund --ignore-scripts <"$here/peers.txt"
    cp "$here/peers.txt" "$peers/installed.txt"
fi
exec python3 "$here/gateway.py" "$binary" "$peers" "$@"
