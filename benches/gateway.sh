#!/usr/bin/env bash
# What the gateway adds to a request: the same requests straight to a provider, through nginx as the plainest proxy, and
# through the gateway with its ledger and budgets on, in turns. Needs wrk and nginx. Argument: the release binary.
set -euo pipefail
binary=$(realpath "$1") rounds=${2:-3} seconds=${3:-5}
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
export API_KEYS_HOME=$folder/home HOME=$folder DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent
mkdir -m 700 "$API_KEYS_HOME"

answer='{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050}}'
cat >"$folder/nginx.conf" <<CONF
worker_processes 1; pid $folder/nginx.pid; error_log $folder/error.log; daemon off;
events { worker_connections 1024; }
http {
    access_log off; client_body_temp_path $folder/body; proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/f; uwsgi_temp_path $folder/u; scgi_temp_path $folder/s;
    keepalive_requests 100000000;
    upstream provider { server 127.0.0.1:18080; keepalive 64; keepalive_requests 100000000; }
    server { listen 127.0.0.1:18080; location / { default_type application/json; return 200 '$answer'; } }
    server { listen 127.0.0.1:18081; location / {
        proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}
CONF
nginx -c "$folder/nginx.conf" &
cat >"$API_KEYS_HOME/config.toml" <<CONF
[vault]
master_key = "key-file"
[providers.openai]
base_url = "http://127.0.0.1:18080/v1"
[budget]
daily_limit = 100000
monthly_limit = 100000
[[prices]]
model = "openai/m"
input = 1.0
output = 2.0
CONF
chmod 600 "$API_KEYS_HOME/config.toml"
echo sk-proj-MeasureJ7x2Qm9ZtVbW4kHsR8wxyz | "$binary" add openai --stdin >/dev/null 2>&1
key=$("$binary" client add load --json | sed 's/.*"client_key":"\([^"]*\)".*/\1/')
"$binary" gateway --listen 127.0.0.1:18082 >"$folder/gateway.out" 2>&1 &
gateway=$!
cat >"$folder/post.lua" <<LUA
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer $key"
wrk.body = '{"model":"openai/m","max_tokens":100,"messages":[{"role":"user","content":"say hello in one word, please"}]}'
done = function(summary, latency)
    io.write(string.format("%8.0f req/s  p50 %6.3f ms  p99 %6.3f ms  %d not good\n",
        summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
LUA
sleep 1
ticks() { awk '{print $14 + $15}' "/proc/$gateway/stat"; }
for connections in 1 32; do
    for ((round = 1; round <= rounds; round++)); do
        for way in direct:18080 nginx:18081 gateway:18082; do
            before=$(ticks)
            printf '%2d connections  %-8s' "$connections" "${way%:*}"
            wrk -t1 -c"$connections" -d"${seconds}s" -s "$folder/post.lua" "http://127.0.0.1:${way#*:}/v1/chat/completions" | grep req/s
            [[ $way != gateway:* ]] || echo "                gateway's processor time: $(($(ticks) - before)) hundredths of a second"
        done
    done
done
echo "resident: $(awk '/VmRSS/ {print $2}' "/proc/$gateway/status") KiB; recorded: $("$binary" usage --json | sed 's/.*"totals":{"requests":\([0-9]*\).*/\1/')"
