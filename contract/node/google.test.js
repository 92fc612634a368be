// Google's real SDK for Node against the real binary.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, GoogleGenAI } from "@google/genai";

import { CITIES, EVERY_DIALECT, GATEWAY_KEY, GATEWAY_URL, SCHEMA, collect, each } from "./support.js";

const tools = [{ functionDeclarations: [{ name: "get_weather", description: "The weather in a city.", parametersJsonSchema: SCHEMA }] }];
const { models } = new GoogleGenAI({ apiKey: GATEWAY_KEY, httpOptions: { baseUrl: GATEWAY_URL } });
const hello = { role: "user", parts: [{ text: "Hello" }] };

test("an answer is whole", () =>
  each(EVERY_DIALECT, async (model) => {
    const answer = await models.generateContent({ model, contents: "Hello", config: { systemInstruction: "Be brief." } });
    assert.equal(answer.text, `This is ${model} speaking.`);
    assert.equal(answer.candidates[0].finishReason, "STOP");
    assert.equal(answer.usageMetadata.totalTokenCount, 29);
  }));

test("a stream says the same", () =>
  each(EVERY_DIALECT, async (model) => {
    const chunks = await collect(await models.generateContentStream({ model, contents: "Hello" }));
    assert.equal(chunks.map((chunk) => chunk.text ?? "").join(""), `This is ${model} speaking.`);
    assert.equal(chunks.at(-1).candidates[0].finishReason, "STOP");
  }));

test("parallel calls come whole and go back", () =>
  each(EVERY_DIALECT, async (model) => {
    const chunks = await collect(await models.generateContentStream({ model, contents: [hello], config: { tools } }));
    const parts = chunks.flatMap((chunk) => chunk.candidates[0].content?.parts ?? []);
    const calls = parts.flatMap((part) => part.functionCall ?? []);
    assert.deepEqual(calls.map((call) => call.args), CITIES);
    const results = calls.map(({ id, name }) => ({ functionResponse: { id, name, response: { output: "sunny" } } }));
    const contents = [hello, { role: "model", parts }, { role: "user", parts: results }];
    const second = await models.generateContent({ model, contents, config: { tools } });
    assert.equal(second.text, `This is ${model} speaking.`);
  }));

test("thinking is shown to those who ask", () =>
  each(EVERY_DIALECT, async (model) => {
    const level = model.startsWith("gemini") ? { thinkingLevel: "HIGH" } : { thinkingBudget: 1024 };
    const answer = await models.generateContent({ model, contents: "Hello", config: { thinkingConfig: { includeThoughts: true, ...level } } });
    const thoughts = answer.candidates[0].content.parts.filter((part) => part.thought);
    assert.equal(thoughts.map((part) => part.text).join(""), "Let me think.");
    assert.equal(answer.text, `This is ${model} speaking.`);
  }));

test("tokens are counted", () =>
  each(EVERY_DIALECT, async (model) => {
    assert.ok((await models.countTokens({ model, contents: "Hello, how are you today?" })).totalTokens > 3);
  }));

test("errors are the SDK's class with Google's body", async () => {
  const ask = (model) => models.generateContent({ model, contents: "Hello" });
  const is = (status, word) => (error) => error instanceof ApiError && error.status === status && error.message.includes(word);
  await assert.rejects(ask("gemini-9"), is(404, "NOT_FOUND"));
  await assert.rejects(ask("too-small"), is(400, "INVALID_ARGUMENT"));
  await assert.rejects(ask("broken-for-google-in-node"), is(502, "engine fault"));
});
