"""OTLP/HTTP as clients and collectors speak it: sent again, changed, compressed, malformed, out of order."""

import functools
import gzip
import json

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from stage import holds, same

PROTOBUF, JSON = "application/x-protobuf", "application/json"
RUN = "5b8efff798038103d269b633813fc60c"
SECOND = 1_795_000_000_000_000_000


def span(number, name, parent=None, **attributes):
    """One span as protobuf; ids count up from 1."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add()
    spans.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="desk")))
    made = spans.scope_spans.add().spans.add(
        trace_id=bytes.fromhex(RUN), span_id=number.to_bytes(8, "big"), name=name,
        parent_span_id=b"" if parent is None else parent.to_bytes(8, "big"),
        start_time_unix_nano=SECOND + number, end_time_unix_nano=SECOND + 1000 + number)
    for key, value in attributes.items():
        made.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
    return request


def together(*requests):
    whole = ExportTraceServiceRequest()
    for request in requests:
        whole.resource_spans.extend(request.resource_spans)
    return whole.SerializeToString()


def as_json(number, name, **members):
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {"name": "s"}, "spans": [{
        "traceId": RUN, "spanId": format(number, "016x"), "name": name,
        "startTimeUnixNano": str(SECOND + number), "endTimeUnixNano": str(SECOND + 1000 + number), **members}]}]}]}


def with_server(check):
    """A check against a server of its own, whose log is in order at the end."""
    @functools.wraps(check)
    def alone(stage):
        with stage.serve() as server:
            check(server)
            same("it still serves", server.ask("GET", "/readyz").status, 200)
            same("the exit code after SIGTERM", server.stop(), 0)
            stage.run("fsck", "--ledger", server.ledger)
    return alone


def export(server, body, kind=PROTOBUF, **headers):
    return server.ask("POST", "/v1/traces", body, content_type=kind, **headers)


def accepted(answer):
    """The response of a request that was accepted; its encoding is the request's."""
    same(f"the status: {answer}", answer.status, 200)
    same("the encoding", answer.headers["content-type"], PROTOBUF)
    return ExportTraceServiceResponse.FromString(answer.body)


@with_server
def check_a_request_sent_again_adds_nothing(server):
    body = together(span(1, "root"), span(2, "call", 1), span(3, "call", 1))
    first = accepted(export(server, body))
    size, tree = server.size(), server.tree(RUN)
    same("spans recorded", len(tree), 3)
    for headers in ({}, {"content_encoding": "gzip"}):
        again = accepted(export(server, gzip.compress(body) if headers else body, **headers))
        holds("no partial success", not again.HasField("partial_success"), again)
        same("the answer", again, first)
        same("entries", server.size(), size)
        same("the tree", server.tree(RUN), tree)


@with_server
def check_a_span_with_other_content_is_refused_and_the_rest_recorded(server):
    accepted(export(server, together(span(1, "root"), span(2, "call", 1))))
    size, before = server.size(), server.get(f"runs/{RUN}/traces/{2:016x}")
    answer = accepted(export(server, together(span(1, "root"), span(2, "call, changed", 1), span(3, "new", 1))))
    same("spans refused", answer.partial_success.rejected_spans, 1)
    holds("which one and why", f"{2:016x}" in answer.partial_success.error_message and "conflict" in
          answer.partial_success.error_message, answer)
    same("the span that was there", server.get(f"runs/{RUN}/traces/{2:016x}"), before)
    same("entries: the new span alone", server.size(), size + 1)
    as_sent = json.loads(export(server, json.dumps(as_json(2, "changed")).encode(), JSON).body)
    same("spans refused, in JSON", as_sent["partialSuccess"]["rejectedSpans"], "1")


@with_server
def check_protobuf_and_json_of_one_span_are_the_same_span(server):
    as_sent = as_json(7, "one", attributes=[{"key": "k", "value": {"stringValue": "v"}}])
    same("the answer in JSON", export(server, json.dumps(as_sent).encode(), f"{JSON}; charset=utf-8").json, {})
    size = server.size()
    same_span = span(7, "one", k="v")
    same_span.resource_spans[0].scope_spans[0].scope.name = "s"
    del same_span.resource_spans[0].resource.attributes[:]
    holds("no partial success", not accepted(export(server, together(same_span))).HasField("partial_success"))
    same("entries", server.size(), size)


@with_server
def check_children_may_come_before_their_parents(server):
    accepted(export(server, together(span(3, "grandchild", 2))))
    [slot, child] = server.tree(RUN)
    same("the parent is missed", (slot.get("missing"), slot["depth"], slot["children"]), (f"{2:016x}", 0, 1))
    same("its child hangs below", (child["trace"]["id"], child["depth"]), (f"{3:016x}", 1))
    holds("the run has no end", "root_ended_at" not in server.get(f"runs/{RUN}"))
    accepted(export(server, together(span(2, "child", 1))))
    accepted(export(server, together(span(1, "root"))))
    same("the tree", [(node["trace"]["id"], node["depth"]) for node in server.tree(RUN)],
         [(f"{number:016x}", number - 1) for number in (1, 2, 3)])
    holds("the run's root ended", "root_ended_at" in server.get(f"runs/{RUN}"))


@with_server
def check_an_open_span_is_ended_by_the_same_span_later(server):
    def at(end):
        request = span(1, "long")
        request.resource_spans[0].scope_spans[0].spans[0].end_time_unix_nano = end
        return together(request)

    accepted(export(server, at(0)))
    trace = f"runs/{RUN}/traces/{1:016x}"
    same("its status", server.get(trace)["status"], "open")
    accepted(export(server, at(SECOND + 5000)))
    ended = server.get(trace)
    same("its status and its end", (ended["status"], ended["ended_at"][-10:]), ("ok", "000005000Z"))
    size = server.size()
    for again in (0, SECOND + 5000):
        accepted(export(server, at(again)))
    same("entries after both forms came again", server.size(), size)


@with_server
def check_an_empty_export_is_a_success_that_adds_nothing(server):
    accepted(export(server, b""))
    same("in JSON", export(server, b"{}", JSON).json, {})
    same("entries", server.size(), 0)


@with_server
def check_what_cannot_be_read_is_refused_with_its_reason(server):
    body = together(span(1, "root"))
    snake = json.dumps(as_json(1, "root")).replace("resourceSpans", "resource_spans").encode()
    # name: (body, content type, headers, status, a word of the answer)
    cases = {
        "another content type": (body, "text/plain", {}, 415, b"unsupported_media_type"),
        "no content type": (body, "", {}, 415, b"unsupported_media_type"),
        "another compression": (body, PROTOBUF, {"content_encoding": "br"}, 415, b"unsupported_encoding"),
        "snake_case JSON, which would parse to nothing": (snake, JSON, {}, 400, b"resourceSpans"),
        "JSON without resourceSpans": (b'{"spans":[]}', JSON, {}, 400, b"resourceSpans"),
        "JSON that ends early": (b'{"resourceSpans":[', JSON, {}, 400, b""),
        "a JSON array": (b"[]", JSON, {}, 400, b""),
        "logs sent to the path of traces": (b'{"resourceLogs":[]}', JSON, {}, 400, b"logs"),
        "protobuf that ends early": (body[:-3], PROTOBUF, {}, 400, b""),
        "not protobuf": (b"\xff" * 40, PROTOBUF, {}, 400, b""),
        "gzip that ends early": (gzip.compress(body)[:-9], PROTOBUF, {"content_encoding": "gzip"}, 400, b"gzip"),
        "not gzip": (body, PROTOBUF, {"content_encoding": "gzip"}, 400, b"gzip"),
    }
    for name, (sent, kind, headers, status, word) in cases.items():
        answer = export(server, sent, kind, **headers)
        same(f"the status of {name}: {answer}", answer.status, status)
        holds(f"the reason of {name}", word in answer.body, answer)
    same("entries", server.size(), 0)


@with_server
def check_a_gzip_bomb_is_refused_while_it_is_small(server):
    # 65 MiB of nothing in 64 KiB, and the same hidden behind a first member that is harmless.
    zeros = gzip.compress(bytes(65 << 20))
    for bomb in (zeros, gzip.compress(b"") + zeros):
        answer = export(server, bomb, PROTOBUF, content_encoding="gzip")
        same(f"the status: {answer}", answer.status, 413)
    same("entries", server.size(), 0)


@with_server
def check_one_hostile_span_leaves_the_others_alone(server):
    wrong_id = span(2, "id of seven bytes")
    wrong_id.resource_spans[0].scope_spans[0].spans[0].span_id = b"1234567"
    no_id = span(3, "no id at all")
    no_id.resource_spans[0].scope_spans[0].spans[0].trace_id = bytes(16)
    too_late = span(4, "beyond the year 2262")
    too_late.resource_spans[0].scope_spans[0].spans[0].end_time_unix_nano = (1 << 64) - 1
    answer = accepted(export(server, together(span(1, "fine"), wrong_id, no_id, too_late, span(5, "fine too", 1))))
    same("spans refused", answer.partial_success.rejected_spans, 3)
    same("spans recorded", [node["trace"]["id"] for node in server.tree(RUN)], [f"{1:016x}", f"{5:016x}"])
