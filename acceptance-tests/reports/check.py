"""Holds reports against what others say of their formats, and prints what is wrong: check.py SARIF OCSF OPENMETRICS."""

import json
import pathlib
import sys

from jsonschema import Draft4Validator, Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded
from ocsf_json_schema.loader import get_ocsf_schema
from prometheus_client.openmetrics.parser import text_string_to_metric_families

HERE = pathlib.Path(__file__).resolve().parent
MOST = 5
WRONG: list[str] = []


def validated(validator: Draft4Validator | Draft202012Validator, value: object, what: str) -> None:
    for error in list(validator.iter_errors(value))[:MOST]:
        WRONG.append(f"{what}: {error.json_path}: {error.message[:300]}")


def sarif(path: str) -> int:
    schema = json.loads((HERE / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
    log = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    validated(Draft4Validator(schema), log, "SARIF")
    results = [result for run in log["runs"] for result in run["results"]]
    # What code scanning asks for beyond the schema. Source: GitHub documentation, "SARIF support for code scanning".
    for result in results:
        places = [place.get("physicalLocation", {}) for place in result.get("locations", [])]
        if not places or any(not place.get("artifactLocation", {}).get("uri") for place in places):
            WRONG.append(f"SARIF: a result has no physical location: {result['message']['text'][:100]}")
        if not result.get("partialFingerprints"):
            WRONG.append("SARIF: a result has no fingerprint")
    for run in log["runs"]:
        rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
        if missing := {result["ruleId"] for result in run["results"]} - rules:
            WRONG.append(f"SARIF: no rule for {sorted(missing)}")
    return len(results)


def ocsf(path: str) -> int:
    generator = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.8.0"))
    cloud = Draft202012Validator(generator.get_class_schema("compliance_finding", ["cloud"]))
    plain = Draft202012Validator(generator.get_class_schema("compliance_finding"))
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        event = json.loads(line)
        profiles = event["metadata"].get("profiles", [])
        validated(cloud if "cloud" in profiles else plain, event, f"OCSF, line {number}")
        if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
            WRONG.append(f"OCSF, line {number}: type_uid is {event['type_uid']}")
    return len(lines)


def openmetrics(path: str) -> int:
    text = pathlib.Path(path).read_text(encoding="utf-8")
    families = list(text_string_to_metric_families(text))
    for family in families:
        if not family.documentation:
            WRONG.append(f"OpenMetrics: {family.name} has no help")
    return sum(len(family.samples) for family in families)


def main() -> None:
    counts = {"sarif": sarif(sys.argv[1]), "ocsf": ocsf(sys.argv[2]), "openmetrics": openmetrics(sys.argv[3])}
    if WRONG:
        print("\n".join(WRONG))
        sys.exit(1)
    print(json.dumps(counts))


main()
