#!/usr/bin/env bash
# What the clients' own tools say of the plugin, of an installed plugin, of the bundle, and of a registration by `setup`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
binary=$(realpath "$1")
. "$here/support/node.sh"
node_packages
claude=$modules/node_modules/@anthropic-ai/claude-code-linux-x64/claude
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export HOME=$home DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent
unset CLAUDE_CONFIG_DIR CODEX_HOME API_KEYS_HOME

# Whether the client lists a server like this; it is heard to the end, since a pipe that closes early would end it.
listed() {
    "$claude" mcp list >"$home/said" 2>&1
    grep -q "$1" "$home/said" || {
        cat "$home/said"
        return 1
    }
}

# The repository as somebody clones it, since the validator looks at everything that is there.
mkdir "$home/plugin"
(cd "$root" && tar c .claude-plugin .mcp.json commands README.md LICENSE) | tar x -C "$home/plugin"
"$claude" plugin validate --strict "$home/plugin" >"$home/said" || {
    cat "$home/said"
    exit 1
}
echo "claude plugin validate --strict: passed"
mkdir "$home/bin"
ln -s "$binary" "$home/bin/api-keys"
PATH=$home/bin:$PATH
cd "$home"
"$claude" plugin marketplace add "$home/plugin" >/dev/null
"$claude" plugin install api-keys@api-keys >/dev/null
listed 'plugin:api-keys:api-keys: api-keys serve - . Connected'
"$claude" plugin uninstall api-keys@api-keys >/dev/null
echo "claude: the installed plugin connects"

# Registered by `setup` and removed again; another server's registration stays.
"$claude" mcp add --scope user other -- /bin/true >/dev/null
"$binary" setup --yes --client claude-code </dev/null >"$home/said" 2>&1 || {
    cat "$home/said"
    exit 1
}
listed "^api-keys: $binary serve - . Connected"
"$binary" setup --remove --yes --client claude-code </dev/null >/dev/null
if "$claude" mcp get api-keys >/dev/null 2>&1; then
    echo "still registered after setup --remove"
    exit 1
fi
"$claude" mcp get other >"$home/said"
grep -q /bin/true "$home/said"
echo "claude: setup registers and removes"

python3 "$root/packaging/mcpb/pack.py" "$binary" "$home/bundle" --url https://example.com/api-keys.mcpb --owner example
mcpb unpack "$home/bundle/api-keys.mcpb" "$home/unpacked" >/dev/null
mcpb validate "$home/unpacked/manifest.json"
[[ $("$home/unpacked/server/api-keys" --version) == $("$binary" --version) ]]
