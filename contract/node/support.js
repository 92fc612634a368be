// What the files beside share: where the gateway is (the environment says so) and what is asked of it.

export const { GATEWAY_URL, GATEWAY_KEY } = process.env;

// One model for each dialect that a provider may speak: Responses, Chat Completions, Messages, Gemini.
export const EVERY_DIALECT = ["gpt-5.5", "deepseek-v4-pro", "claude-opus-4-7", "gemini-3.1-pro-preview"];

export const HELLO = [{ role: "user", content: "Hello" }];

export const CITIES = [{ city: "Paris" }, { city: "東京" }];

export const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

/** Runs `check` once for every model, and says at which it failed. */
export async function each(models, check) {
  for (const model of models) {
    try {
      await check(model);
    } catch (error) {
      error.message = `${model}: ${error.message}`;
      throw error;
    }
  }
}

export async function collect(stream) {
  const all = [];
  for await (const one of stream) all.push(one);
  return all;
}
