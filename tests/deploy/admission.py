"""A ValidatingAdmissionPolicy judged as the API server judges it: its CEL expressions over a request.

By cel-python, because the API server that tests run is too old for the kind. What cel-python lacks of Kubernetes' own CEL:
optional fields (`.?`, `orValue`), the libraries of lists (`isSorted`, `sum`, `indexOf`, `flatten`), strings (`split`, `replace`,
`substring`, `format`), regular expressions (`find`), URLs, IP addresses, quantities and semantic versions, `authorizer`,
`variables` (given here as a map, each after those that it uses), type checks against the schema, and limits of cost. An
expression that uses one of them is an error here, not an admission.

Belongs here: judging. Does not belong here: what is to be admitted (`test_kubernetes_admission.py`).
"""

from dataclasses import dataclass, field
from typing import Any

import celpy
from celpy import celtypes

from tests.deploy.manifests import Manifest, of_kind

# As RuleWithOperations names resources, by kind.
RESOURCES = {"Job": ("batch", "jobs"), "Pod": ("", "pods")}
_ENVIRONMENT = celpy.Environment()


@dataclass(frozen=True)
class Policy:
    """A policy with its binding and parameters, out of an overlay's objects.

    Attributes:
        programs: compiled expressions, by their text.
    """

    spec: Manifest
    binding: Manifest
    parameters: Manifest
    programs: dict[str, celpy.Runner] = field(default_factory=dict)

    @classmethod
    def among(cls, objects: list[Manifest]) -> "Policy":
        [policy] = of_kind(objects, "ValidatingAdmissionPolicy").values()
        [binding] = of_kind(objects, "ValidatingAdmissionPolicyBinding").values()
        parameters = of_kind(objects, "ConfigMap")[binding["spec"]["paramRef"]["name"]]
        return cls(policy["spec"], binding["spec"], parameters)

    def refusals(self, item: Manifest, before: Manifest | None = None, subresource: str = "") -> list[str]:
        """What the policy says against an object that is created, or changed from what it was before.

        Raises celpy.CELEvalError where the API server would refuse because an expression fails.
        """
        operation = "CREATE" if before is None else "UPDATE"
        if not self._is_about(item["kind"], operation, subresource):
            return []
        known = {"object": item, "oldObject": before, "request": {"operation": operation}, "params": self.parameters}
        given = {name: celpy.json_to_cel(value) for name, value in known.items()}
        if not all(self._value(condition["expression"], given) for condition in self.spec["matchConditions"]):
            return []
        variables = celtypes.MapType()
        given["variables"] = variables
        for variable in self.spec["variables"]:
            variables[celtypes.StringType(variable["name"])] = self._value(variable["expression"], given)
        return [rule["message"] for rule in self.spec["validations"] if not self._value(rule["expression"], given)]

    def _is_about(self, kind: str, operation: str, subresource: str) -> bool:
        group, resource = RESOURCES[kind]
        asked = f"{resource}/{subresource}" if subresource else resource
        return any(
            group in rule["apiGroups"] and asked in rule["resources"] and operation in rule["operations"]
            for rule in self.spec["matchConstraints"]["resourceRules"]
        )

    def _value(self, expression: str, given: dict[str, Any]) -> Any:
        if expression not in self.programs:
            self.programs[expression] = _ENVIRONMENT.program(_ENVIRONMENT.compile(expression))
        return self.programs[expression].evaluate(given)
