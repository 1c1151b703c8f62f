// Asks with the vendors' own SDKs what it is told on the command line, and prints the answers, a line each.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const { baseUrl, key, asks } = JSON.parse(process.argv[2]);
const openai = new OpenAI({ baseURL: `${baseUrl}/v1`, apiKey: key, maxRetries: 0, timeout: 20_000 });
const anthropic = new Anthropic({ baseURL: baseUrl, apiKey: key, maxRetries: 0, timeout: 20_000 });

const speakers = {
  openai: (question, stream) =>
    stream
      ? openai.chat.completions.stream({ ...question, stream_options: { include_usage: true } }).finalChatCompletion()
      : openai.chat.completions.create(question),
  anthropic: (question, stream) =>
    stream ? anthropic.messages.stream(question).finalMessage() : anthropic.messages.create(question),
};

async function ask({ name, sdk, question, stream }) {
  try {
    return { name, answer: await speakers[sdk](question, stream) };
  } catch (error) {
    return { name, error: { exception: error.constructor.name, status: error.status, text: error.message } };
  }
}

for (const answer of await Promise.all(asks.map(ask))) console.log(JSON.stringify(answer));
