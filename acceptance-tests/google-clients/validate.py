"""Holds requests to Google Cloud, and the answers, against Google's own discovery documents: validate.py REQUESTS.json

Each request has to be a method of a document: its path, its HTTP method, its parameters, and a body with known fields of the right
types. Each answer of success has to be one, too.
"""

import json
import pathlib
import re
import sys

import googleapiclient.discovery_cache

DOCUMENTS = pathlib.Path(googleapiclient.discovery_cache.__file__).parent / "documents"
NAMES = ["cloudkms.v1", "cloudresourcemanager.v3", "iam.v1", "iam.v2", "iamcredentials.v1", "storage.v1"]


def methods(document: dict, node: dict):
    for method in node.get("methods", {}).values():
        yield document, method
    for inner in node.get("resources", {}).values():
        yield from methods(document, inner)


def pattern(document: dict, method: dict) -> re.Pattern:
    path = "/" + document.get("servicePath", "") + method.get("flatPath", method["path"])
    return re.compile("^" + re.sub(r"\\\{\+?[^}]+\\\}", "[^/:]+", re.escape(path)).replace(r"\-", "-") + "$")


def check(document: dict, schema: dict, value, where: str, wrong: list) -> None:
    if "$ref" in schema:
        return check(document, document["schemas"][schema["$ref"]], value, where, wrong)
    kinds = {
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
        "array": list,
        "object": dict,
    }
    kind = schema.get("type", "any")
    # 64-bit numbers are text in JSON.
    if kind != "any" and not isinstance(value, kinds[kind]):
        wrong.append(f"{where}: {value!r} is not a {kind}")
        return None
    if "enum" in schema and value not in schema["enum"]:
        wrong.append(f"{where}: {value!r} is none of {schema['enum']}")
    if kind == "array":
        for index, one in enumerate(value):
            check(document, schema["items"], one, f"{where}[{index}]", wrong)
    if kind == "object":
        for name, one in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if inner is None:
                wrong.append(f"{where}.{name}: unknown field")
            else:
                check(document, inner, one, f"{where}.{name}", wrong)
    return None


def main(file: str) -> None:
    known = [
        (pattern(document, method), document, method)
        for name in NAMES
        for document in [json.loads((DOCUMENTS / f"{name}.json").read_text())]
        for document, method in methods(document, document)
    ]
    wrong: list[str] = []
    used = set()
    requests = json.loads(pathlib.Path(file).read_text())
    for request in requests:
        verb, path = request["operation"].split(" ", 1)
        fitting = [
            (document, method)
            for expression, document, method in known
            if method["httpMethod"] == verb and expression.match(path)
        ]
        if not fitting:
            wrong.append(f"{verb} {path}: no such method")
            continue
        document, method = fitting[0]
        used.add(method["id"])
        allowed = set(method.get("parameters", {})) | set(document.get("parameters", {}))
        for name in request["query"]:
            if name not in allowed:
                wrong.append(f"{method['id']}: unknown parameter {name}")
        for name, parameter in method.get("parameters", {}).items():
            if parameter.get("location") == "query" and parameter.get("required") and name not in request["query"]:
                wrong.append(f"{method['id']}: {name} is missing")
        body = request["body"]
        if body is not None and "request" in method:
            check(document, method["request"], body, method["id"], wrong)
        elif body not in (None, {}):
            wrong.append(f"{method['id']}: takes no body")
        if request["status"] == 200 and "response" in method:
            check(document, method["response"], request["answer"], f"{method['id']} answer", wrong)
    if wrong:
        sys.exit("\n".join(sorted(set(wrong))))
    print(f"{len(requests)} requests are as the discovery documents have them: {', '.join(sorted(used))}")


if __name__ == "__main__":
    main(sys.argv[1])
