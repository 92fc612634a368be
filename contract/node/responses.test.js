// The Responses client of the real OpenAI SDK for Node against the real binary.

import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { CITIES, EVERY_DIALECT, GATEWAY_KEY, GATEWAY_URL, HELLO, SCHEMA, collect, each } from "./support.js";

const tools = [{ type: "function", name: "get_weather", description: "The weather in a city.", parameters: SCHEMA, strict: false }];
const client = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: GATEWAY_KEY, maxRetries: 0 });
const callsOf = (response) => response.output.filter((item) => item.type === "function_call");

test("an answer is whole", () =>
  each(EVERY_DIALECT, async (model) => {
    const answer = await client.responses.create({ model, input: "Hello" });
    assert.equal(answer.status, "completed");
    assert.equal(answer.output_text, `This is ${model} speaking.`);
    assert.equal(answer.usage.total_tokens, 29);
  }));

test("a stream adds up to the same", () =>
  each(EVERY_DIALECT, async (model) => {
    const stream = client.responses.stream({ model, input: HELLO, reasoning: { effort: "medium", summary: "auto" } });
    const events = await collect(stream);
    assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
    const answer = await stream.finalResponse();
    assert.equal(answer.output_text, `This is ${model} speaking.`);
    assert.equal(answer.output[0].summary[0].text, "Let me think.");
  }));

test("streamed calls are whole, and their results are answered", () =>
  each(EVERY_DIALECT, async (model) => {
    const first = await client.responses.stream({ model, input: HELLO, tools, store: false }).finalResponse();
    assert.deepEqual(callsOf(first).map((call) => JSON.parse(call.arguments)), CITIES);
    const results = callsOf(first).map((call) => ({ type: "function_call_output", call_id: call.call_id, output: "sunny" }));
    const second = await client.responses.create({ model, input: [...HELLO, ...first.output, ...results], tools, store: false });
    assert.equal(second.output_text, `This is ${model} speaking.`);
  }));

test("a conversation is continued by its id, and only by a known one", () =>
  each(EVERY_DIALECT, async (model) => {
    const first = await client.responses.create({ model, input: "Hello" });
    const second = await client.responses.create({ model, input: "Again", previous_response_id: first.id });
    assert.equal(second.previous_response_id, first.id);
    const lost = client.responses.create({ model, input: "Again", previous_response_id: "resp_nobody" });
    await assert.rejects(lost, (error) => error instanceof OpenAI.BadRequestError && error.code === "previous_response_not_found");
  }));

test("errors are the SDK's classes and keep their codes", async () => {
  const ask = (model) => client.responses.create({ model, input: "Hello", stream: true });
  await assert.rejects(ask("gpt-9"), (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found");
  await assert.rejects(ask("too-small"), (error) => error instanceof OpenAI.BadRequestError && error.code === "context_length_exceeded");
  await assert.rejects(ask("broken-for-responses-in-node"), (error) => error.status === 502 && error.message.includes("engine fault"));
});
