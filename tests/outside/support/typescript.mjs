// Both TypeScript SDKs call every tool; each validates results, and version 1 failures too, against the output schema.

import assert from "node:assert";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const KEY = "sk-0123456789abcdefghijklmnopqrstuv";
const OTHER_KEY = "sk-zyxwvutsrqponmlkjihgfedcba98765";
const CALLS = [
  ["list_api_keys", {}, null],
  ["add_api_key", { provider: "openai", api_key: KEY }, null],
  ["add_api_key", { provider: "openai" }, "key_required"],
  ["add_api_key", { provider: "nobody", api_key: KEY }, "unknown_provider"],
  ["add_api_key", { provider: "openai", colour: "red" }, "invalid_argument"],
  ["list_api_keys", { include_metadata: false }, null],
  ["validate_key", { provider: "openai" }, null],
  ["validate_all_keys", {}, null],
  ["rotate_key", { provider: "openai", new_api_key: OTHER_KEY }, null],
  ["rotate_key", { provider: "openai", new_api_key: OTHER_KEY }, "key_unchanged"],
  ["remove_api_key", { provider: "openai" }, null],
  ["remove_api_key", { provider: "openai" }, "key_not_found"],
];

async function check(name, { Client }, { StdioClientTransport }) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "api-keys-"));
  const home = path.join(folder, "home");
  fs.mkdirSync(home, { mode: 0o700 });
  const config = '[vault]\nmaster_key = "key-file"\n[providers.openai]\nbase_url = "http://127.0.0.1:9/v1"\n';
  fs.writeFileSync(path.join(home, "config.toml"), config, { mode: 0o600 });
  const transport = new StdioClientTransport({
    command: process.argv[2],
    args: ["serve"],
    env: { API_KEYS_HOME: home, HOME: folder },
  });
  const client = new Client({ name: "typescript", version: "1" }, { capabilities: {} });
  await client.connect(transport);
  assert.equal(client.getServerVersion().title, "API Key Manager");
  await client.listTools();
  for (const [tool, args, code] of CALLS) {
    const result = await client.callTool({ name: tool, arguments: args });
    assert.equal(result.structuredContent.error?.code ?? null, code, JSON.stringify(result));
    assert.equal(Boolean(result.isError), code !== null);
    assert(!JSON.stringify(result).includes(KEY));
  }
  await assert.rejects(client.callTool({ name: "nothing", arguments: {} }));
  const { contents } = await client.readResource({ uri: "api://providers" });
  assert(JSON.parse(contents[0].text).providers.length > 4);
  await client.close();
  fs.rmSync(folder, { recursive: true });
  console.log(`typescript sdk ${name} is good`);
}

const sdk = "@modelcontextprotocol/sdk/client";
await check("1", await import(`${sdk}/index.js`), await import(`${sdk}/stdio.js`));
const client = "@modelcontextprotocol/client";
await check("2", await import(client), await import(`${client}/stdio`));
