"""Bundles as an auditor gets them: verified by the binary with a key alone, and their report in a real browser."""

import json
import zipfile
from pathlib import Path

from stage import holds, same

BUNDLES = Path(__file__).resolve().parent.parent.parent / "vectors" / "bundles"


def cases():
    return {case["name"]: case for case in json.loads((BUNDLES / "cases.json").read_text(encoding="utf-8"))}


def check_the_binary_says_of_every_fixture_what_is_stated(stage):
    for name, case in cases().items():
        keys = [part for key in case["keys"] for part in ("--key", key)]
        old = stage.new(f"old-{name}")
        if case["old_checkpoint"]:
            old.write_text(case["old_checkpoint"], encoding="utf-8")
            keys += ["--checkpoint", str(old)]
        outcomes = {outcome for outcome, _, _ in case["verdicts"].values()}
        code = 2 if name in ("not_a_zip", "cut_tail") else 1 if "fail" in outcomes else 3 if "unconfirmed" in outcomes else 0
        said = json.loads(stage.run("verify", str(BUNDLES / f"{name}.zip"), "--json", *keys, expect=code))
        got = {row["aspect"]: [row["outcome"], row.get("reason"), row["remarks"]] for row in said["verdicts"]}
        same(name, got, case["verdicts"])


def check_the_report_of_a_hostile_run_is_text_in_a_browser(stage):
    with zipfile.ZipFile(BUNDLES / "hostile_text.zip") as bundle:
        page = stage.new("report.html")
        page.write_bytes(bundle.read("report.html"))
    browser = stage.browser()
    browser.tell("open", url=page.resolve().as_uri())
    holds("recorded text is shown as it is", "<script>fetch(" in browser.read("body")[0]["text"])
    same("scripts, links and what would load", browser.tell("count", selector="script, a, img, link, iframe, [onload]")["count"], 0)
    same("pixels beyond a desk's window", browser.tell("overflow", width=1280)["beyond"], 0)
    same("pixels beyond a sheet of paper", browser.tell("overflow", width=640)["beyond"], 0)
    holds("the picture is there", browser.tell("count", selector="svg rect")["count"] > 0)
    stage.shot(browser, "bundle-report")
    same("what it did that it must not", browser.tell("notes")["misdeeds"], [])
