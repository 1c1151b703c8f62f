// What a web client does against the edge. Node and the browser run the same code and report JSON objects.
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { CompletionService } from "../../../../gen/web/llmhub/completion/v1/completion_service_pb.js";
import { ErrorReason, ProviderErrorSchema } from "../../../../gen/web/llmhub/types/v1/error_pb.js";
import { FinishReason } from "../../../../gen/web/llmhub/types/v1/generation_pb.js";
import { Role } from "../../../../gen/web/llmhub/types/v1/content_pb.js";
import { ModelService } from "../../../../gen/web/llmhub/model/v1/model_service_pb.js";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../../gen/web/google/rpc/error_details_pb.js";

export interface Task {
  scenario: string;
  baseUrl: string;
  key: string;
  model: string;
  timeoutMs?: number;
}

export type Report = (line: Record<string, unknown>) => void | Promise<void>;

export async function run(task: Task, report: Report): Promise<void> {
  const transport = createGrpcWebTransport({
    baseUrl: task.baseUrl,
    defaultTimeoutMs: task.timeoutMs,
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${task.key}`);
        return next(request);
      },
    ],
  });
  try {
    if (task.scenario === "unary") await unary(task, transport, report);
    else if (task.scenario === "models") await models(transport, report);
    else await stream(task, transport, report);
    await report({ kind: "done" });
  } catch (error) {
    await report(described(ConnectError.from(error)));
  }
}

type Transport = ReturnType<typeof createGrpcWebTransport>;

function question(model: string) {
  const parts = [{ kind: { case: "text" as const, value: "Say something." } }];
  return { model, messages: [{ role: Role.USER, parts }] };
}

async function unary(task: Task, transport: Transport, report: Report): Promise<void> {
  const answer = await createClient(CompletionService, transport).generate(question(task.model));
  const [candidate] = answer.candidates;
  await report({
    kind: "answer",
    requestId: answer.requestId,
    text: candidate.parts.map((part) => (part.kind.case === "text" ? part.kind.value : "")).join(""),
    finish: FinishReason[candidate.finish?.reason ?? 0],
    inputTokens: Number(answer.usage?.inputTokens),
    outputTokens: Number(answer.usage?.outputTokens),
  });
}

async function models(transport: Transport, report: Report): Promise<void> {
  const page = await createClient(ModelService, transport).listModels({});
  await report({ kind: "models", ids: page.models.map((model) => model.id) });
}

async function stream(task: Task, transport: Transport, report: Report): Promise<void> {
  const left = new AbortController();
  const request = { request: question(task.model) };
  const answer = createClient(CompletionService, transport).generateStream(request, { signal: left.signal });
  for await (const message of answer) {
    for (const { sequence, event } of message.events) {
      const number = Number(sequence);
      if (event.case === "blockDelta" && event.value.delta.case === "text") {
        await report({ kind: "text", sequence: number, text: event.value.delta.value });
        if (task.scenario === "abort") left.abort();
      } else if (event.case === "finished") {
        const reason = ErrorReason[event.value.error?.reason ?? 0];
        await report({ kind: "finished", sequence: number, complete: event.value.complete, reason });
      }
    }
  }
}

function described(error: ConnectError): Record<string, unknown> {
  const [info] = error.findDetails(ErrorInfoSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  const [provider] = error.findDetails(ProviderErrorSchema);
  return {
    kind: "error",
    code: Code[error.code],
    message: error.rawMessage,
    reason: info?.reason,
    domain: info?.domain,
    retrySeconds: retry === undefined ? null : Number(retry.retryDelay?.seconds),
    httpStatus: provider?.httpStatus ?? null,
  };
}
