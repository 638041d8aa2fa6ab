#!/usr/bin/env bash
# The Inspector in both eras: no error and no warning of its strict look at the tools, and every list and read works.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary=$(realpath "$1")
. "$here/support/node.sh"
node_packages
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export HOME=$home API_KEYS_HOME=$home/keys DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent

inspect() {
    mcp-inspector --cli "$binary" --format json "$@"
}

for era in legacy modern; do
    said=$(inspect --protocol-era $era --strict --method tools/list 2>&1 >"$home/tools.json") || {
        echo "$era: $said"
        exit 1
    }
    if [[ -n $said ]]; then
        echo "$era: the Inspector has something to say: $said"
        exit 1
    fi
    inspect --protocol-era $era --method resources/list >"$home/resources.json"
    inspect --protocol-era $era --method resources/read --uri api://providers >"$home/read.json"
    inspect --protocol-era $era --method prompts/list >"$home/prompts.json"
    inspect --protocol-era $era --method prompts/get --prompt-name api-usage --prompt-args days=7 >"$home/prompt.json"
    inspect --protocol-era $era --method tools/call --tool-name list_api_keys >"$home/call.json"
    python3 - "$home" "$era" <<'END'
import json, pathlib, sys

home, era = pathlib.Path(sys.argv[1]), sys.argv[2]
result = {name: json.loads((home / f"{name}.json").read_text())["result"]
          for name in ("tools", "resources", "read", "prompts", "prompt", "call")}
assert len(result["prompts"]["prompts"]) == 3
assert "\"7\"" in result["prompt"]["messages"][0]["content"]["text"]
assert json.loads(result["read"]["contents"][0]["text"])["providers"]
assert result["call"]["structuredContent"]["total_count"] == 0
print(f"inspector: {era}: {len(result['tools']['tools'])} tools, strict and silent")
END
done
