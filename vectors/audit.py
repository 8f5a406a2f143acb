"""What became of a run's audit, from docs/format alone, standard library only.

verdict()    the bodies recorded before it, each with its time and place → what a verdict at a time says
"""

import record
from jcs import Number

LISTS = ("missing", "failed", "rolled_back", "late", "pending", "drift", "duplicate")


def nanos(text):
    """A recorded time as a number that sorts and adds up."""
    day, clock = text[:-1].split("T")
    clock, fraction = clock.split(".")
    whole = record.datetime.strptime(day + clock, "%Y-%m-%d%H:%M:%S").replace(tzinfo=record.timezone.utc)
    return (whole - record.EPOCH) // record.timedelta(seconds=1) * 10**9 + int(fraction)


def moment(number):
    seconds, rest = divmod(number, 10**9)
    return (record.EPOCH + record.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S") + ".%09dZ" % rest


class Action:
    """All that is known of one (domain, action)."""

    def __init__(self):
        self.expected, self.said = [], []


def facts(entries):
    """(recorded_at, body) in the order of the log → actions by (domain, action)."""
    actions = {}
    for place, (recorded_at, body) in enumerate(entries):
        if body["op"] not in ("expect", "ack", "set_expectation_status"):
            continue
        action = actions.setdefault((body["domain"], body["action"]), Action())
        at = min(nanos(recorded_at), nanos(body.get("received_at", recorded_at)))
        if body["op"] == "expect":
            action.expected.append((at + int(body["deadline_ms"]) * 10**6, body["id"], body))
        else:
            action.said.append((at, place, body))
    return actions


def finding(name, at=None, ack=None, expectation=None, deadline=None, superseded=False):
    found = {"domain": name[0], "action": name[1], "superseded": superseded}
    optional = {
        "expectation_id": expectation, "ack_id": ack,
        "deadline": None if deadline is None else moment(deadline), "at": None if at is None else moment(at),
    }
    found.update((member, value) for member, value in optional.items() if value is not None)
    return found


def verdict(entries, now):
    now = nanos(now)
    actions = facts(entries)
    lists = {name: [] for name in LISTS}
    flags = set()
    for name in sorted(actions):
        action = actions[name]
        action.said.sort(key=lambda said: said[:2])
        if not action.expected:
            for at, _, body in action.said:
                if body["op"] == "ack":
                    flags.add("incomplete")
                    lists["drift"].append(finding(name, at, body["id"]))
            continue
        judge(name, action, now, lists, flags)
    status = next((word.upper() for word in ("stale", "incomplete", "pending") if word in flags), "COMPLETE")
    count = sum(len(action.expected) for action in actions.values())
    acks = sum(body["op"] == "ack" for action in actions.values() for _, _, body in action.said)
    return {"status": status, "expectations": Number(count), "acks": Number(acks), **lists, "truncated": False}


def judge(name, action, now, lists, flags):
    wanted = sum(int(body["count"]) for _, _, body in action.expected)
    done, why, acknowledged = [], "nothing", False
    for at, _, body in action.said:
        if body["op"] == "ack":
            acknowledged = True
            if body["status"] == "SUCCESS" and len(done) >= wanted:
                lists["duplicate"].append(finding(name, at, body["id"]))
            elif body["status"] == "SUCCESS":
                done, why = done + [at], "nothing"
            elif body["status"] == "FAILED":
                done, why = [] if wanted == 1 else done, "failed"
            else:
                done, why = done[:-1], "failed"
        elif body["status"] == "ACKED":
            done, why = [at] * wanted, "nothing"
        else:
            done, why = [], {"FAILED": "failed", "MISSING": "missing", "PENDING": "nothing"}[body["status"]]
    is_met = len(done) >= wanted
    for at, _, body in action.said:
        if body["status"] in ("FAILED", "ROLLED_BACK"):
            lists[body["status"].lower()].append(finding(name, at, body.get("id"), superseded=is_met))
    for deadline, _, body in sorted(action.expected, key=lambda one: one[:2]):
        own, done = done[: int(body["count"])], done[int(body["count"]):]
        met_at = own[-1] if len(own) == int(body["count"]) else None
        expect(name, body, deadline, met_at, why, now, lists, flags)
        is_liveness = body["liveness"] or name == ("orchestrator", "finalize_run")
        if is_liveness and met_at is None and not acknowledged and now > deadline:
            flags.add("stale")


def expect(name, body, deadline, met_at, why, now, lists, flags):
    def found(at=None):
        return finding(name, at, expectation=body["id"], deadline=deadline)

    if met_at is not None:
        if met_at > deadline:
            lists["late"].append(found(met_at))
    elif why == "failed":
        flags.add("incomplete")
    elif why == "missing" or now > deadline and not body["optional"]:
        flags.add("incomplete")
        lists["missing"].append(found())
    elif now <= deadline and not body["optional"]:
        flags.add("pending")
        lists["pending"].append(found())
