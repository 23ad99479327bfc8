"""What each table is: people, events or things; whose, when, by which key; and what is joined to it.

Belongs here: proposals with their reasons, and questions where there is no single answer. Does not belong here: roles of
single columns (`roles`), and writing any of it down.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date, datetime

from platform_assets.data.catalog.declaration import nearest
from platform_assets.operations.onboarding.columns import with_columns
from platform_assets.operations.onboarding.existing import Existing
from platform_assets.operations.onboarding.marts import Mart, Plan, Reference
from platform_assets.operations.onboarding.names import column_name, is_later, person_of, singular
from platform_assets.operations.onboarding.reading.finding import Found
from platform_assets.operations.onboarding.tables import (
    INSTANTS,
    Ask,
    OnboardingError,
    Question,
    Table,
    Wishes,
)

# A column refers to another table's key where at least this share of its values is there.
_COVERED = 0.5


class Proposing:
    """Proposes a source's marts; `ask` answers what has no single answer."""

    def __init__(self, source: str, found: Found, wishes: Wishes, existing: Existing, ask: Ask) -> None:
        self._source, self._found, self._wishes = source, found, wishes
        self._existing, self._ask = existing, ask
        self._notes = list(found.notes)
        self._tables = dict(found.tables)

    def plan(self) -> Plan:
        """All marts.

        Raises:
            OnboardingError: a wish names what is not there, nothing can be made of the export, or `ask` refuses.
        """
        self._check_wishes()
        self._find_keys()
        references = {name: self._references(table) for name, table in self._tables.items()}
        entity, entity_key = self._entity()
        if entity is None:
            self._notes.append(
                "no column names a person, so that no event can be somebody's; every table is taken for things. Name the column "
                "with --entity and --entity-key."
            )
        marts = self._marts(entity, entity_key, references)
        if not marts:
            raise OnboardingError("\n".join(["nothing can be written from this export.", *self._notes]))
        tables = {name: self._tables[name] for name in {mart.table.name: None for mart in marts}}
        notes = [*self._notes, *(note for table in tables.values() for note in table.notes)]
        return Plan(self._source, tuple(marts), tables, self._wishes.timezone, tuple(notes))

    def _check_wishes(self) -> None:
        wishes = self._wishes
        for option, names in (
            ("--key", wishes.keys),
            ("--kind", wishes.kinds),
            ("--event-time", wishes.event_times),
            ("--history", wishes.histories),
            ("--role", {name.partition(".")[0]: "" for name in wishes.roles}),
            ("--population", {wishes.population: ""} if wishes.population else {}),
        ):
            for name in names:
                if name not in self._tables:
                    raise OnboardingError(f"{option} {name}: there is no such table{nearest(name, self._tables)}.")
        columns = [(f"--key {table}={name}", table, name) for table, names in wishes.keys.items() for name in names]
        columns += [(f"--event-time {table}={name}", table, name) for table, name in wishes.event_times.items()]
        for option, table, name in columns:
            if name not in self._tables[table].names:
                there = self._tables[table].names
                raise OnboardingError(
                    f"{option}: {table} has no column {name}{nearest(name, there)}; it has {', '.join(there)}."
                )

    def _find_keys(self) -> None:
        for name, table in list(self._tables.items()):
            key = self._wishes.keys.get(name, table.key)
            if self._wishes.kinds.get(name) == "leave_out":
                del self._tables[name]
            elif not table.rows:
                self._notes.append(
                    f"{name}: has no rows, so that nothing tells its types and key; it is left out. Add it when it has some."
                )
                del self._tables[name]
            elif not key:
                choices = tuple(
                    c.name for c in table.columns if not c.nulls and c.values == table.rows and c.may_be_key
                )
                what = f"{', '.join(choices)} each identify its rows"
                if not choices:
                    what = "no column, and no few references together, identify its rows"
                elif len(choices) == 1:
                    what = f"{choices[0]} identifies its rows, perhaps by chance"
                self._notes.append(
                    f"{name}: {what}; it is left out. Say what does with --key {name}=<column>[,<column>]."
                )
                del self._tables[name]
            elif inner := [one for one in key if not table.column(one).may_be_key]:
                raise OnboardingError(
                    f"--key {name}={','.join(key)}: {', '.join(inner)} lies inside a map, and a key is made of attributes of the item."
                )
            elif not self._found.is_key(name, key):
                raise OnboardingError(
                    f"--key {name}={','.join(key)}: rows of {name} lack it or share it. Name columns that identify a row."
                )
            else:
                columns = sorted(table.columns, key=lambda column: column.name not in key)
                self._tables[name] = replace(table, key=tuple(key), columns=tuple(columns))

    def _references(self, table: Table) -> tuple[Reference, ...]:
        references = []
        for column in table.columns:
            for other in self._tables.values():
                if other.name == table.name or len(other.key) != 1 or table.key == (column.name,):
                    continue
                key = other.key[0]
                if column.name != key and not column.name.endswith(f"_{key}"):
                    continue
                share = self._found.covered(table.name, column.name, other.name, key)
                if share >= _COVERED:
                    references.append(Reference(column.name, other.name, key, share))
                    break
        return tuple(references)

    def _entity(self) -> tuple[str | None, str | None]:
        """The kind of people, and the column that names one."""
        wishes = self._wishes
        columns = {name for table in self._tables.values() for name in table.names}
        if wishes.entity:
            key = wishes.entity_key or self._existing.entities.get(wishes.entity)
            guesses = [
                name
                for name in (f"{wishes.entity}_id", f"{wishes.entity}_key", f"{wishes.entity}id")
                if name in columns
            ]
            key = key or (guesses[0] if guesses else None)
            if key not in columns:
                raise OnboardingError(
                    f"--entity {wishes.entity}: no table has a column {key or wishes.entity + '_id'}"
                    f"{nearest(key or wishes.entity, columns)}. Name it with --entity-key."
                )
            return wishes.entity, key
        known = {entity: key for entity, key in self._existing.entities.items() if key in columns}
        people = known or {person: name for name in sorted(columns) if (person := person_of(name))}
        if not people:
            return None, None
        if len(people) == 1:
            entity, key = next(iter(people.items()))
            return entity, wishes.entity_key or key
        question = Question(
            f"Whose features are to be made: the columns {', '.join(people.values())} each name people.",
            tuple(people),
            "--entity",
        )
        entity = self._ask(question)
        return entity, people[entity]

    def _marts(self, entity: str | None, key: str | None, references: dict[str, tuple[Reference, ...]]) -> list[Mart]:
        marts: dict[str, Mart] = {}
        later = []
        for name, table in self._tables.items():
            mart = self._alone(table, entity, key)
            if mart is None:
                later.append(table)
            else:
                marts[name] = replace(mart, references=references[name])
        for table in later:
            parents = [
                one
                for one in references[table.name]
                if one.table in marts and marts[one.table].kind == "event" and marts[one.table].parent is None
            ]
            wished = self._wishes.kinds.get(table.name)
            if parents and wished in (None, "event"):
                marts[table.name] = replace(self._hop(table, parents, marts), references=references[table.name])
            elif wished == "event":
                raise OnboardingError(
                    f"--kind {table.name}=event: it names no person and time in each row, and no table that does through its key."
                )
            else:
                marts[table.name] = replace(self._thing(table, key), references=references[table.name])
        events = [mart for mart in marts.values() if mart.kind == "event"]
        result = self._people(marts, events, entity, key)
        return list(with_columns(result, self._wishes.roles, self._notes).values())

    def _alone(self, table: Table, entity: str | None, key: str | None) -> Mart | None:
        """A table that says by itself what it is: somebody's events, or the people."""
        wished = self._wishes.kinds.get(table.name)
        if key is not None and table.key == (key,) and wished in (None, "entity"):
            reason = f"{key} identifies its rows, and names the {entity}"
            return Mart(self._mart_name(table.name), table, "entity", (reason,), entity=entity, entity_key=key)
        if wished == "entity":
            raise OnboardingError(
                f"--kind {table.name}=entity: its key is {', '.join(table.key)}, which names no person."
            )
        if key is None or key not in table.names or wished == "dimension":
            return None
        time = self._event_time(table)
        if time is None:
            return None
        column = table.column(key)
        table = self._tables[table.name] = with_instant(table, time)
        reasons = (f"{key} names the {entity}", f"{time} is when")
        return Mart(
            self._mart_name(table.name),
            table,
            "event",
            reasons,
            entity=entity,
            entity_key=key,
            event_time=time,
            made_key=self._made_key(table),
            without_person=column.nulls > 0,
        )

    def _hop(self, table: Table, parents: list[Reference], marts: Mapping[str, Mart]) -> Mart:
        parent = parents[0]
        if len(parents) > 1:
            choices = tuple(one.table for one in parents)
            text = f"{table.name} has no person and time of its own, and refers to {', '.join(choices)}, which have."
            chosen = self._ask(
                Question(text, choices, f"--kind <table>=dimension for all but one of them; for {table.name}")
            )
            parent = next(one for one in parents if one.table == chosen)
        event = marts[parent.table]
        share = f"; {parent.share:.1%} of its {parent.column} are there" if parent.share < 1 else ""
        return Mart(
            self._mart_name(table.name),
            table,
            "event",
            (f"gets {event.entity_key} and {event.event_time} of {parent.table} through {parent.column}{share}",),
            entity=event.entity,
            entity_key=event.entity_key,
            event_time=event.event_time,
            made_key=self._made_key(table),
            parent=parent,
        )

    def _thing(self, table: Table, person: str | None) -> Mart:
        columns = self._found.with_changes(table)
        changed = [column.name for column in columns if column.changed]
        if changed:
            self._notes.append(
                f"{table.name}: {', '.join(changed)} changed between exports and would leak into past dates, so they stay out of its "
                "mart; the staging model has them."
            )
        seen = "one export cannot tell" if table.exports == 1 else f"{table.exports} exports agree"
        lacks = f"{person} is there, but not when" if person in table.names else "names no person"
        return Mart(
            self._mart_name(table.name),
            replace(table, columns=columns),
            "dimension",
            (f"{lacks}; taken for things that do not change ({seen}; a test fails when one does)",),
            history="immutable",
            made_key=self._made_key(table),
        )

    def _people(
        self, marts: dict[str, Mart], events: list[Mart], entity: str | None, key: str | None
    ) -> dict[str, Mart]:
        """The mart of people: their table, or who is in the events; none where the project has it or nobody acts."""
        tables = [mart for mart in marts.values() if mart.kind == "entity"]
        declared = self._existing.marts_of.get(entity or "")
        for mart in tables:
            if declared or not events:
                why = f"{entity} is declared by mart {declared}" if declared else f"no table holds what a {entity} did"
                self._notes.append(
                    f"{mart.table.name}: {why}, so it is written as a table of things. "
                    + ("" if declared else "Add the source of their events, and make it people's by hand.")
                )
                thing = replace(self._thing(mart.table, key), references=mart.references)
                marts[mart.table.name] = replace(thing, reasons=(f"{why}; taken for things",))
        tables = [mart for mart in marts.values() if mart.kind == "entity"]
        if declared or not events or entity is None or key is None:
            return marts
        population = self._population(events)
        covering = [m for m in tables if self._covers(m, events, key)]
        if tables and not covering:
            for mart in tables:
                self._notes.append(
                    f"{mart.table.name}: holds fewer than half of those who act in {population.table.name}, so it is written as a "
                    f"table of things, and the {entity}s are taken from {population.table.name}."
                )
                marts[mart.table.name] = replace(self._thing(mart.table, key), references=mart.references)
        if covering:
            mart = covering[0]
            history, reason = self._history(mart, key)
            marts[mart.table.name] = replace(
                mart,
                history=history,
                population=population.name,
                reasons=(*mart.reasons, reason, f"whoever is in {population.name} counts"),
                made_key=f"{entity}_version_id" if history == "scd2" else None,
            )
            return marts
        plural = f"{entity[:-1]}ies" if entity.endswith("y") else f"{entity}s"
        person = population.table.column(key)
        marts[f"people {entity}"] = Mart(
            self._mart_name(plural, [mart.name for mart in marts.values()]),
            replace(population.table, key=(key,), columns=(person,)),
            "entity",
            (f"no table of {plural}: they are taken from {population.table.name}",),
            entity=entity,
            entity_key=key,
            history="immutable",
            population=population.name,
            people_of=True,
        )
        return marts

    def _covers(self, people: Mart, events: list[Mart], key: str) -> bool:
        direct = [event for event in events if event.parent is None]
        shares = [self._found.covered(event.table.name, key, people.table.name, key) for event in direct]
        return all(share >= _COVERED for share in shares)

    def _population(self, events: list[Mart]) -> Mart:
        if self._wishes.population:
            for event in events:
                if event.table.name == self._wishes.population:
                    return event
            raise OnboardingError(
                f"--population {self._wishes.population}: it is no table of events; those are "
                f"{', '.join(event.table.name for event in events)}."
            )
        direct = [event for event in events if event.parent is None] or events
        if len(direct) == 1:
            return direct[0]
        choices = tuple(event.table.name for event in direct)
        answer = self._ask(Question("Who counts as active: whoever is in which events?", choices, "--population"))
        return next(event for event in direct if event.table.name == answer)

    def _history(self, mart: Mart, key: str) -> tuple[str, str]:
        wished = self._wishes.histories.get(mart.table.name)
        if wished:
            return wished, f"history {wished}, as asked"
        attributes = [column for column in mart.table.columns if column.name != key]
        if all(column.type in INSTANTS and not column.nulls for column in attributes):
            return "immutable", "nothing of it changes"
        return "scd2", "what is known of people changes: a version from the export that first shows it (history scd2)"

    def _event_time(self, table: Table) -> str | None:
        wished = self._wishes.event_times.get(table.name)
        instants = [column for column in table.columns if column.type in ("date", *INSTANTS)]
        if wished:
            if wished not in [column.name for column in instants]:
                raise OnboardingError(f"--event-time {table.name}={wished}: is no instant or date.")
            candidates = [table.column(wished)]
        else:
            candidates = instants
        usable = [column for column in candidates if not column.nulls and _before(column.high, table.exported_at)]
        if not usable:
            if candidates:
                names = ", ".join(column.name for column in candidates)
                self._notes.append(
                    f"{table.name}: of {names}, none has a value in each row that lies before the export, so it is no table of events."
                )
            return None
        clear = [column for column in usable if not is_later(column.name)]
        if len(usable) == 1 or len(clear) == 1:
            return (clear or usable)[0].name
        choices = tuple(column.name for column in usable)
        text = f"When is an event of {table.name}: {', '.join(choices)} are instants of each row."
        return self._ask(Question(text, choices, f"--event-time {table.name}=<column>"))

    def _made_key(self, table: Table) -> str | None:
        if len(table.key) == 1 and table.column(table.key[0]).type in ("integer", "text"):
            return None
        return column_name([singular(table.name), "key"], table.names)

    def _mart_name(self, name: str, others: Collection[str] = ()) -> str:
        own = column_name([name])
        taken = {*self._existing.models, *others}
        if own not in taken:
            return own
        other = f"{self._source}_{name}"
        if other in taken:
            raise OnboardingError(
                f"the project has models {own} and {other} already, so {name} has no name for its mart. Rename or remove one of them."
            )
        self._notes.append(f"{name}: the project has a model {own} already, so its mart is called {other}.")
        return other


def with_instant(table: Table, time: str) -> Table:
    """The table with a date read as the instant at which that day begins in UTC: events have instants."""
    columns = tuple(
        replace(one, type="instant") if one.name == time and one.type == "date" else one for one in table.columns
    )
    return replace(table, columns=columns)


def _before(high: object, exported_at: datetime) -> bool:
    if isinstance(high, datetime):
        return high < exported_at
    return isinstance(high, date) and high < exported_at.date()
