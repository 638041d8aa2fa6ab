#!/usr/bin/env bash
# The official TypeScript SDKs, 1 and 2, drive the server: `typescript.sh target/release/api-keys`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary=$(realpath "$1")
. "$here/support/node.sh"
node_packages
# Modules are looked for beside the file that imports them.
cp "$here/support/typescript.mjs" "$modules/"
cd "$modules"
node typescript.mjs "$binary"
