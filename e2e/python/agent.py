"""A small agent that is instrumented as agents are: it rebooks a flight, and says so through the OpenTelemetry SDK.

It plans, asks its model what to do next, calls the tool that the model names, looks at what came back, and goes on until
the model answers. One tool fails on the first call and is called again. The model is a function of the conversation
instead of a service, so that two runs do the same; everything around it is real. e2e/js/agent.mjs is the same agent.

Exports over http/protobuf to OTEL_EXPORTER_OTLP_ENDPOINT, and prints as JSON what it sent: the truth that the tests
compare every reader with.
"""

import json
import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

MODEL = "example-large"
GOAL = "rebook the cancelled flight FRA-LIS"

# What a tool brings home from the web. Nobody downstream may run it, obey it or be confused by it.
HOSTILE = (
    "</script><script>alert('page')</script><img src=x onerror=alert(1)> javascript:alert(2) "
    "\u202egnp.exe\u202c \u200b\u2066 \x1b[31mred\x1b[0m \x00\x07 __proto__ {{7*7}} é 旅 🛫"
)


def compact(value):
    """JSON as the JavaScript agent writes it, so that both send the same text."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


tracer = trace.get_tracer("tracekeep.e2e.agent", "1.0.0")


# --- What the agent can do


class Supplier:
    """Answers from a table; the first call takes too long."""

    def __init__(self):
        self.calls = 0

    def flights(self, origin, destination):
        self.calls += 1
        with tracer.start_as_current_span("GET /flights", kind=SpanKind.CLIENT) as span:
            span.set_attributes({"http.request.method": "GET", "url.path": "/flights", "attempt": self.calls})
            if self.calls == 1:
                raise TimeoutError("the supplier did not answer within 5 s")
            table = {("FRA", "LIS"): [{"flight": "TP571", "eur": 289.4}, {"flight": "LH1166", "eur": 412.5}]}
            return table[(origin, destination)]


def tools_of(supplier):
    def search_flights(origin, destination):
        return {"hits": supplier.flights(origin, destination), "advert": HOSTILE}

    def hold_seat(flight, seat):
        return {"hold": f"h-{flight}-{seat}", "minutes": 45}

    return {"search_flights": search_flights, "hold_seat": hold_seat}


def fare_rules(question):
    with tracer.start_as_current_span("retrieve fare rules") as span:
        documents = ["Rebooking after a cancellation is free.", "Up to 400 EUR need no approval."]
        span.set_attributes({"openinference.span.kind": "RETRIEVER", "input.value": question})
        for place, text in enumerate(documents):
            span.set_attribute(f"retrieval.documents.{place}.document.id", f"rule-{place}")
            span.set_attribute(f"retrieval.documents.{place}.document.content", text)
            span.set_attribute(f"retrieval.documents.{place}.document.score", 0.9 - place / 10)
        return documents


def within_budget(eur):
    with tracer.start_as_current_span("guard budget") as span:
        verdict = "allowed" if eur <= 400 else "refused"
        span.set_attributes({
            "openinference.span.kind": "GUARDRAIL",
            "input.value": f"{eur} EUR of 400",
            "output.value": verdict,
        })
        return verdict == "allowed"


# --- How it decides


def model(conversation):
    """The next action, out of what has happened so far."""
    outcomes = [message for message in conversation if message["role"] == "tool"]
    done = {outcome["tool"]: outcome for outcome in outcomes if "error" not in outcome}
    if "search_flights" not in done:
        return {"say": f"searching, attempt {len(outcomes) + 1}", "tool": "search_flights",
                "arguments": {"origin": "FRA", "destination": "LIS"}}
    if "fare_rules" not in done:
        return {"say": "checking the rules", "ask": "fare limits for rebooking after a cancellation"}
    cheapest = min(done["search_flights"]["result"]["hits"], key=lambda hit: hit["eur"])
    if "hold_seat" not in done:
        return {"say": f"holding {cheapest['flight']}", "spend": cheapest["eur"], "tool": "hold_seat",
                "arguments": {"flight": cheapest["flight"], "seat": "14C"}}
    return {"say": f"You fly with {cheapest['flight']} for {cheapest['eur']} EUR.", "answer": True}


def chat(conversation):
    with tracer.start_as_current_span(f"chat {MODEL}", kind=SpanKind.CLIENT) as span:
        action = model(conversation)
        span.set_attributes({
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "example",
            "gen_ai.request.model": MODEL,
            "gen_ai.request.temperature": 0.2,
            "gen_ai.usage.input_tokens": 40 + 20 * len(conversation),
            "gen_ai.usage.output_tokens": len(action["say"]),
            "gen_ai.response.finish_reasons": ["stop" if "answer" in action else "tool_calls"],
            "gen_ai.input.messages": compact(
                [{"role": "user", "parts": [{"type": "text", "content": GOAL}]}]),
            "gen_ai.output.messages": compact(
                [{"role": "assistant", "parts": [{"type": "text", "content": action["say"]}]}]),
        })
        return action


def plan():
    with tracer.start_as_current_span("plan") as span:
        span.set_attributes({
            "gen_ai.operation.name": "plan",
            "gen_ai.agent.name": "travel-desk",
            "input.value": "how to rebook?",
            "output.value": "search, check the rules, hold",
        })


def call(tools, name, arguments, turn, retried):
    with tracer.start_as_current_span(f"execute_tool {name}") as span:
        span.set_attributes({
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": f"call-{turn}",
            "gen_ai.tool.call.arguments": compact(arguments),
            "tag.tags": ["external", "retry"] if retried else ["external"],
        })
        result = tools[name](**arguments)
        span.set_attribute("gen_ai.tool.call.result", compact(result))
        return result


def agent():
    with tracer.start_as_current_span("invoke_agent travel-desk") as span:
        span.set_attributes({
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "travel-desk",
            "gen_ai.conversation.id": "conversation-7",
            "session.id": "session-7",
            "input.value": GOAL,
            "hostile.<b>key</b>": HOSTILE,
        })
        plan()
        tools = tools_of(Supplier())
        conversation = [{"role": "user", "content": GOAL}]
        while True:
            action = chat(conversation)
            if "answer" in action:
                span.set_attribute("output.value", action["say"])
                return span.get_span_context().trace_id
            if "ask" in action:
                conversation.append({"role": "tool", "tool": "fare_rules", "result": fare_rules(action["ask"])})
                continue
            if "spend" in action and not within_budget(action["spend"]):
                raise PermissionError("over budget")
            name = action["tool"]
            retried = any(message.get("tool") == name for message in conversation)
            try:
                result = call(tools, name, action["arguments"], len(conversation), retried)
                conversation.append({"role": "tool", "tool": name, "result": result})
            except TimeoutError as error:
                conversation.append({"role": "tool", "tool": name, "error": str(error)})


# --- What it says of itself


def sent(spans):
    """The spans as they were sent, in the order in which they began."""
    return [
        {
            "id": format(span.context.span_id, "016x"),
            "parent_id": format(span.parent.span_id, "016x") if span.parent else None,
            "name": span.name,
            "start": str(span.start_time),
            "end": str(span.end_time),
            "status": "error" if span.status.status_code is StatusCode.ERROR else "ok",
            "events": [event.name for event in span.events],
        }
        for span in sorted(spans, key=lambda span: span.start_time)
    ]


def main():
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "travel-desk", "deployment.environment.name": "e2e"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    trace_id = agent()
    if not provider.force_flush():
        sys.exit("the spans could not be sent")
    provider.shutdown()
    json.dump({"trace_id": format(trace_id, "032x"), "spans": sent(kept.get_finished_spans())}, sys.stdout)


if __name__ == "__main__":
    main()
