// The agent of e2e/python/agent.py once more, through the JavaScript SDK, which sends JSON. It does the same, so that what
// two SDKs and two encodings make of it can be compared.

import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const MODEL = "example-large";
const GOAL = "rebook the cancelled flight FRA-LIS";
const HOSTILE =
  "</script><script>alert('page')</script><img src=x onerror=alert(1)> javascript:alert(2) " +
  "\u202egnp.exe\u202c \u200b\u2066 \x1b[31mred\x1b[0m \x00\x07 __proto__ {{7*7}} é 旅 🛫";

const tracer = trace.getTracer("tracekeep.e2e.agent", "1.0.0");

/** Runs `work` inside a span; what it throws is recorded in the span and thrown on. */
function inSpan(name, options, work) {
  return tracer.startActiveSpan(name, options, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      span.recordException(error);
      span.setStatus({ code: SpanStatusCode.ERROR, message: `${error.name}: ${error.message}` });
      throw error;
    } finally {
      span.end();
    }
  });
}

class TimeoutError extends Error {
  name = "TimeoutError";
}

// --- What the agent can do

class Supplier {
  calls = 0;

  flights(origin, destination) {
    this.calls += 1;
    return inSpan("GET /flights", { kind: SpanKind.CLIENT }, (span) => {
      span.setAttributes({ "http.request.method": "GET", "url.path": "/flights", attempt: this.calls });
      if (this.calls === 1) throw new TimeoutError("the supplier did not answer within 5 s");
      const table = { "FRA-LIS": [{ flight: "TP571", eur: 289.4 }, { flight: "LH1166", eur: 412.5 }] };
      return table[`${origin}-${destination}`];
    });
  }
}

const toolsOf = (supplier) => ({
  search_flights: async ({ origin, destination }) => ({ hits: await supplier.flights(origin, destination), advert: HOSTILE }),
  hold_seat: async ({ flight, seat }) => ({ hold: `h-${flight}-${seat}`, minutes: 45 }),
});

const fareRules = (question) => inSpan("retrieve fare rules", {}, (span) => {
  const documents = ["Rebooking after a cancellation is free.", "Up to 400 EUR need no approval."];
  span.setAttributes({ "openinference.span.kind": "RETRIEVER", "input.value": question });
  for (const [place, text] of documents.entries()) {
    span.setAttribute(`retrieval.documents.${place}.document.id`, `rule-${place}`);
    span.setAttribute(`retrieval.documents.${place}.document.content`, text);
    span.setAttribute(`retrieval.documents.${place}.document.score`, 0.9 - place / 10);
  }
  return documents;
});

const withinBudget = (eur) => inSpan("guard budget", {}, (span) => {
  const verdict = eur <= 400 ? "allowed" : "refused";
  span.setAttributes({ "openinference.span.kind": "GUARDRAIL", "input.value": `${eur} EUR of 400`, "output.value": verdict });
  return verdict === "allowed";
});

// --- How it decides

/** The next action, out of what has happened so far. */
function model(conversation) {
  const outcomes = conversation.filter((message) => message.role === "tool");
  const done = new Map(outcomes.filter((outcome) => !outcome.error).map((outcome) => [outcome.tool, outcome]));
  if (!done.has("search_flights")) {
    return { say: `searching, attempt ${outcomes.length + 1}`, tool: "search_flights", arguments: { origin: "FRA", destination: "LIS" } };
  }
  if (!done.has("fare_rules")) return { say: "checking the rules", ask: "fare limits for rebooking after a cancellation" };
  const cheapest = done.get("search_flights").result.hits.reduce((a, b) => (b.eur < a.eur ? b : a));
  if (!done.has("hold_seat")) {
    return { say: `holding ${cheapest.flight}`, spend: cheapest.eur, tool: "hold_seat", arguments: { flight: cheapest.flight, seat: "14C" } };
  }
  return { say: `You fly with ${cheapest.flight} for ${cheapest.eur} EUR.`, answer: true };
}

const chat = (conversation) => inSpan(`chat ${MODEL}`, { kind: SpanKind.CLIENT }, (span) => {
  const action = model(conversation);
  const message = (role, content) => JSON.stringify([{ role, parts: [{ type: "text", content }] }]);
  span.setAttributes({
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "example",
    "gen_ai.request.model": MODEL,
    "gen_ai.request.temperature": 0.2,
    "gen_ai.usage.input_tokens": 40 + 20 * conversation.length,
    "gen_ai.usage.output_tokens": action.say.length,
    "gen_ai.response.finish_reasons": [action.answer ? "stop" : "tool_calls"],
    "gen_ai.input.messages": message("user", GOAL),
    "gen_ai.output.messages": message("assistant", action.say),
  });
  return action;
});

const plan = () => inSpan("plan", {}, (span) => {
  span.setAttributes({
    "gen_ai.operation.name": "plan",
    "gen_ai.agent.name": "travel-desk",
    "input.value": "how to rebook?",
    "output.value": "search, check the rules, hold",
  });
});

const call = (tools, name, args, turn, retried) => inSpan(`execute_tool ${name}`, {}, async (span) => {
  span.setAttributes({
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": name,
    "gen_ai.tool.call.id": `call-${turn}`,
    "gen_ai.tool.call.arguments": JSON.stringify(args),
    "tag.tags": retried ? ["external", "retry"] : ["external"],
  });
  const result = await tools[name](args);
  span.setAttribute("gen_ai.tool.call.result", JSON.stringify(result));
  return result;
});

const agent = () => inSpan("invoke_agent travel-desk", {}, async (span) => {
  span.setAttributes({
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "travel-desk",
    "gen_ai.conversation.id": "conversation-7",
    "session.id": "session-7",
    "input.value": GOAL,
    "hostile.<b>key</b>": HOSTILE,
  });
  await plan();
  const tools = toolsOf(new Supplier());
  const conversation = [{ role: "user", content: GOAL }];
  for (;;) {
    const action = await chat(conversation);
    if (action.answer) {
      span.setAttribute("output.value", action.say);
      return span.spanContext().traceId;
    }
    if (action.ask) {
      conversation.push({ role: "tool", tool: "fare_rules", result: await fareRules(action.ask) });
      continue;
    }
    if (action.spend && !(await withinBudget(action.spend))) throw new Error("over budget");
    const name = action.tool;
    const retried = conversation.some((message) => message.tool === name);
    try {
      const result = await call(tools, name, action.arguments, conversation.length, retried);
      conversation.push({ role: "tool", tool: name, result });
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      conversation.push({ role: "tool", tool: name, error: error.message });
    }
  }
});

// --- What it says of itself

const nanos = ([seconds, rest]) => BigInt(seconds) * 1000000000n + BigInt(rest);

/** The spans as they were sent, in the order in which they began. */
function sent(spans) {
  return spans
    .map((span) => ({
      id: span.spanContext().spanId,
      parent_id: span.parentSpanContext?.spanId ?? null,
      name: span.name,
      start: String(nanos(span.startTime)),
      end: String(nanos(span.endTime)),
      status: span.status.code === SpanStatusCode.ERROR ? "error" : "ok",
      events: span.events.map((event) => event.name),
    }))
    .sort((a, b) => (BigInt(a.start) < BigInt(b.start) ? -1 : 1));
}

const kept = new InMemorySpanExporter();
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": "travel-desk", "deployment.environment.name": "e2e" }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter()), new SimpleSpanProcessor(kept)],
});
provider.register();
const traceId = await agent();
await provider.forceFlush();
process.stdout.write(JSON.stringify({ trace_id: traceId, spans: sent(kept.getFinishedSpans()) }));
await provider.shutdown();
