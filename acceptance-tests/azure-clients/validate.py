"""Reads requests to Azure, and the answers, with the models of the official clients: validate.py REQUESTS.json

A field that a model does not know is an error, except those with which the sandbox plays a later version of the API. What a request
sets has to be what the model reads from it.
"""

import json
import pathlib
import re
import sys

from azure.keyvault.keys._generated import models as keys
from azure.mgmt.authorization import models as authorization
from azure.mgmt.databricks import models as databricks
from azure.mgmt.keyvault import models as vaults

# The models of the key client are private, and its public ones hide which fields there are.
READ_BY = [
    (r"/providers/microsoft\.databricks/workspaces/[^/]+$", databricks.Workspace, databricks.Workspace),
    (r"/accesspolicies/(add|remove)$", vaults.VaultAccessPolicyParameters, vaults.VaultAccessPolicyParameters),
    (r"/providers/microsoft\.keyvault/vaults/[^/]+$", None, vaults.Vault),
    (r"/providers/microsoft\.keyvault/managedhsms/[^/]+$", None, vaults.ManagedHsm),
    (r"^/vault/[^/]+/deletedkeys/[^/]+$", None, keys.DeletedKeyBundle),
    (r"^/vault/[^/]+/deletedkeys/[^/]+/recover$", None, keys.KeyBundle),
    (r"^/vault/[^/]+/keys/[^/]+(/[0-9a-f]{32})?$", keys.KeyUpdateParameters, keys.KeyBundle),
]
LATER = {"properties.somethingNew", "properties.parameters.someFutureParameter"}


def unknown(model, where: str = ""):
    fields = {field._rest_name: name for name, field in model._attr_to_rest_field.items()}
    for name, value in model.items():
        place = f"{where}.{name}".lstrip(".")
        if name not in fields:
            if place not in LATER:
                yield place
            continue
        inner = getattr(model, fields[name])
        for one in inner if isinstance(inner, list) else [inner]:
            if hasattr(one, "_attr_to_rest_field"):
                yield from unknown(one, place)


def wrong_in_workspace(body: dict):
    """Each feature has the whole key, in the place where the client has it."""
    read = databricks.Workspace(body)
    entities = read.encryption.entities if read.encryption else None
    for name in ("managed_services", "managed_disk"):
        feature = getattr(entities, name, None) if entities else None
        if feature is None:
            continue
        key = feature.key_vault_properties
        if feature.key_source != "Microsoft.Keyvault" or not (key.key_vault_uri and key.key_name and key.key_version):
            yield f"{name}: {feature}"
    storage = read.parameters.encryption.value if read.parameters and read.parameters.encryption else None
    if storage and storage.key_source == "Microsoft.Keyvault":
        if not (storage.key_vault_uri and storage.key_name and storage.key_version):
            yield f"storage: {storage}"


def main(file: str) -> None:
    wrong: list[str] = []
    counts: dict[str, int] = {}
    for request in json.loads(pathlib.Path(file).read_text()):
        verb, path = request["operation"].split(" ", 1)
        lower = path.lower()
        body, answer = request["body"], request["answer"]
        if "/roleassignments/" in lower and verb == "PUT" and lower.startswith("/arm"):
            read = authorization.RoleAssignmentCreateParameters.deserialize(body)
            counts["RoleAssignmentCreateParameters"] = counts.get("RoleAssignmentCreateParameters", 0) + 1
            known = {one["key"].split(".")[-1] for one in read._attribute_map.values()}
            wrong.extend(f"{verb} {path}: {name}" for name in body["properties"] if name not in known)
            if not (read.principal_id and read.role_definition_id and read.principal_type):
                wrong.append(f"{verb} {path}: {body}")
        for expression, of_body, of_answer in READ_BY:
            if not re.search(expression, lower):
                continue
            if verb in ("PUT", "PATCH") and of_body:
                wrong.extend(f"{verb} {path}: {place}" for place in unknown(of_body(body)))
                counts[of_body.__name__] = counts.get(of_body.__name__, 0) + 1
                if of_body is databricks.Workspace:
                    wrong.extend(f"{verb} {path}: {what}" for what in wrong_in_workspace(body))
            if verb == "DELETE":
                of_answer = keys.DeletedKeyBundle
            if request["status"] == 200 and isinstance(answer, dict) and answer:
                wrong.extend(f"the answer of {verb} {path}: {place}" for place in unknown(of_answer(answer)))
                counts[of_answer.__name__] = counts.get(of_answer.__name__, 0) + 1
            break
    if wrong:
        sys.exit("\n".join(sorted(set(wrong))))
    print("read by the models:", ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))


if __name__ == "__main__":
    main(sys.argv[1])
