// The real Anthropic SDK for Node against the real binary.

import assert from "node:assert/strict";
import { test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";

import { CITIES, GATEWAY_KEY, GATEWAY_URL, HELLO, SCHEMA, collect, each } from "./support.js";

// Anthropic speaks the client's dialect; the second is only configured with a chat endpoint.
const MODELS = ["claude-opus-4-7", "qwen3-max"];
const common = { max_tokens: 4000, messages: HELLO };
const tools = [{ name: "get_weather", description: "The weather in a city.", input_schema: SCHEMA }];
const client = new Anthropic({ baseURL: GATEWAY_URL, apiKey: GATEWAY_KEY, maxRetries: 0 });

test("an answer is whole, without thinking that nobody asked for", () =>
  each(MODELS, async (model) => {
    const answer = await client.messages.create({ model, ...common });
    assert.deepEqual(answer.content.map((block) => block.type), ["text"]);
    assert.equal(answer.content[0].text, `This is ${model} speaking.`);
    assert.equal(answer.stop_reason, "end_turn");
    assert.equal(answer.usage.cache_read_input_tokens, 8);
  }));

test("a stream adds up to the same", () =>
  each(MODELS, async (model) => {
    const stream = client.messages.stream({ model, ...common });
    assert.equal(await stream.finalText(), `This is ${model} speaking.`);
    assert.equal((await stream.finalMessage()).usage.output_tokens, 9);
  }));

test("streamed tool calls are whole, and their results are answered", () =>
  each(MODELS, async (model) => {
    const first = await client.messages.stream({ model, ...common, tools }).finalMessage();
    const calls = first.content.filter((block) => block.type === "tool_use");
    assert.deepEqual(calls.map((call) => call.input), CITIES);
    assert.equal(first.stop_reason, "tool_use");
    const results = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: "sunny" }));
    const messages = [...HELLO, { role: "assistant", content: first.content }, { role: "user", content: results }];
    const second = await client.messages.create({ model, ...common, messages, tools });
    assert.equal(second.content[0].text, `This is ${model} speaking.`);
  }));

test("thinking is shown to those who ask", () =>
  each(MODELS, async (model) => {
    const thinking = model.startsWith("claude") ? { type: "adaptive" } : { type: "enabled", budget_tokens: 1024 };
    const answer = await client.messages.stream({ model, ...common, thinking }).finalMessage();
    assert.deepEqual(answer.content.map((block) => block.type), ["thinking", "text"]);
    assert.equal(answer.content[0].thinking, "Let me think.");
  }));

test("errors are the SDK's classes", async () => {
  const ask = (model) => client.messages.create({ model, ...common });
  await assert.rejects(ask("claude-opus-9-9"), (error) => error instanceof Anthropic.NotFoundError && error.error.error.type === "not_found_error");
  await assert.rejects(ask("too-small"), (error) => error.error.error.message === "prompt is too long: 9000 tokens > 8192 maximum");
  const stranger = new Anthropic({ baseURL: GATEWAY_URL, apiKey: "nsk_unknown", maxRetries: 0 });
  await assert.rejects(stranger.models.list(), Anthropic.AuthenticationError);
});

test("Anthropic's reader lists the models", async () => {
  const ids = (await collect(client.models.list())).map((model) => model.id);
  assert.ok(ids.includes("claude-opus-4-7"));
});
