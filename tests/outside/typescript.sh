#!/usr/bin/env bash
# The official TypeScript SDKs, 1 and 2, drive the server: `typescript.sh target/release/api-keys`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary=$(realpath "$1")
if ! command -v npm >/dev/null; then
    echo "typescript: nothing was tested, there is no npm"
    exit 0
fi
modules=${OUTSIDE_NODE:-target/outside-node}
mkdir -p "$modules"
cp "$here/support/typescript.mjs" "$modules/"
cd "$modules"
packages=(@modelcontextprotocol/sdk@1.32.2 @modelcontextprotocol/client@2.4.0)
if [[ ! -e installed || $(<installed) != "${packages[*]}" ]]; then
    npm install --silent --no-audit --no-fund --ignore-scripts "${packages[@]}"
    echo "${packages[*]}" >installed
fi
node typescript.mjs "$binary"
