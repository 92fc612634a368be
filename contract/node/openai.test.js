// The real OpenAI SDK for Node against the real binary.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { CITIES, GATEWAY_KEY, GATEWAY_URL, HELLO, SCHEMA, collect, each } from "./support.js";

// The provider of the first speaks the client's dialect, that of the second does not.
const MODELS = ["deepseek-v4-pro", "claude-opus-4-7"];
const tools = [{ type: "function", function: { name: "get_weather", description: "The weather in a city.", parameters: SCHEMA } }];
const client = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: GATEWAY_KEY, maxRetries: 0 });

test("a chat answer is whole", () =>
  each(MODELS, async (model) => {
    const answer = await client.chat.completions.create({ model, messages: HELLO });
    assert.equal(answer.choices[0].message.content, `This is ${model} speaking.`);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.equal(answer.usage.total_tokens, 29);
    assert.equal(answer.usage.prompt_tokens_details.cached_tokens, 8);
  }));

test("a chat stream adds up to the same", () =>
  each(MODELS, async (model) => {
    const stream = client.chat.completions.stream({ model, messages: HELLO, stream_options: { include_usage: true } });
    const answer = await stream.finalChatCompletion();
    assert.equal(answer.choices[0].message.content, `This is ${model} speaking.`);
    assert.equal(answer.usage.total_tokens, 29);
  }));

test("the SDK's own tool loop runs to its end", () =>
  each(MODELS, async (model) => {
    const asked = [];
    const weather = { name: "get_weather", description: "The weather.", parameters: SCHEMA, parse: JSON.parse };
    const runner = client.chat.completions.runTools({
      model,
      messages: HELLO,
      stream: true,
      tools: [{ type: "function", function: { ...weather, function: (place) => (asked.push(place), "sunny") } }],
    });
    assert.equal(await runner.finalContent(), `This is ${model} speaking.`);
    assert.deepEqual(asked, CITIES);
  }));

test("streamed tool calls keep their places", () =>
  each(MODELS, async (model) => {
    const calls = [];
    for (const chunk of await collect(await client.chat.completions.create({ model, messages: HELLO, tools, stream: true }))) {
      for (const { index, id, function: part } of chunk.choices[0]?.delta.tool_calls ?? []) {
        calls[index] ??= { id, arguments: "" };
        calls[index].arguments += part.arguments ?? "";
      }
    }
    assert.deepEqual(calls.map((call) => JSON.parse(call.arguments)), CITIES);
    assert.equal(new Set(calls.map((call) => call.id)).size, 2);
  }));

test("thinking arrives as reasoning_content", async () => {
  const answer = await client.chat.completions.create({ model: "deepseek-v4-pro", messages: HELLO });
  assert.equal(answer.choices[0].message.reasoning_content, "Let me think.");
});

test("errors are the SDK's classes and keep their codes", async () => {
  const ask = (model, options) => client.chat.completions.create({ model, messages: HELLO }, options);
  await assert.rejects(ask("deepsek-v4-pro"), (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found");
  await assert.rejects(ask("too-small"), (error) => error instanceof OpenAI.BadRequestError && error.code === "context_length_exceeded");
  await assert.rejects(ask("broken-for-node"), (error) => error.status === 502 && error.message.includes("engine fault"));
  const stranger = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: "nsk_unknown", maxRetries: 0 });
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
});

test("OpenAI's reader lists the models", async () => {
  const ids = (await collect(client.models.list())).map((model) => model.id);
  for (const model of MODELS) assert.ok(ids.includes(model), model);
});
