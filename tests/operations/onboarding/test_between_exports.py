"""What differs between two exports of a table, which features must not be made of."""

from datetime import UTC, datetime

import pyarrow as pa
import yaml

from tests.operations.onboarding.conftest import Project


def test_what_differs_between_exports_is_declared_so_that_no_feature_is_made_of_it(project: Project) -> None:
    for day, status in ((1, "open"), (2, "paid")):
        orders = {
            "order_id": range(6),
            "customer_id": [1, 1, 2, 2, 3, 3],
            "ordered_at": [datetime(2023, 1, 1)] * 6,
            "status_text": [status, "open", "open", "open", "open", "open"],
            "amount": [1.5] * 6,
        }
        lines = {
            "line_id": range(6),
            "order_id": [0, 0, 1, 1, 2, 2],
            "price": [1.0] * 5 + [float(day)],
            "quantity": [1] * 6,
        }
        tables = {"orders": pa.table(orders), "order_lines": pa.table(lines)}
        project.aurora("app", tables, datetime(2024, 1, day, tzinfo=UTC))
    proposed = project.add("app")
    (path,) = project.environment.dbt_project.glob("models/marts/app/_app__marts.yml")
    models = yaml.safe_load(path.read_text())["models"]
    columns = {
        f"{model['name']}.{column['name']}": column["config"]["meta"]["platform"]
        for model in models
        for column in model["columns"]
    }
    assert {name for name, said in columns.items() if said.get("changes")} == {
        "orders.status_text",
        "order_lines.price",
    }
    assert columns["order_lines.price"]["role"] == "measure"
    assert any("orders.status_text" in note for note in proposed.plan.notes)


def test_an_event_whose_time_differs_between_exports_is_told(project: Project) -> None:
    for day in (1, 2):
        columns = {"order_id": range(3), "customer_id": [1, 2, 3], "ordered_at": [datetime(2023, 1, day)] * 3}
        project.aurora("app", {"orders": pa.table(columns)}, datetime(2024, 1, day, tzinfo=UTC))
    notes = project.propose("app").plan.notes
    assert any(note.startswith("orders.ordered_at: differs between exports") for note in notes)
