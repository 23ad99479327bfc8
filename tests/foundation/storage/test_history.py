"""Any sequence of operations leaves what a dictionary would hold."""

from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from platform_assets.foundation.storage import Files, files_at
from tests.foundation.storage.reading import stored

NAMES = st.sampled_from(["a", "b", "ab", "dir/a", "dir/b", "dir/deep/a", "with space/ä:1.json", ".hidden"])
CONTENTS = st.sampled_from([b"", b"one", b"two", b"\x00\xff"])
COUNT = count()


class History(RuleBasedStateMachine):
    """One place, and the dictionary that says what must be in it."""

    root: str

    def __init__(self) -> None:
        super().__init__()
        self.files: Files = files_at(f"{self.root}/{next(COUNT)}")
        self.held: dict[str, bytes] = {}
        self.versions: dict[str, str] = {}

    @rule(name=NAMES, content=CONTENTS)
    def write(self, name: str, content: bytes) -> None:
        self.files.write(name, content)
        self.held[name] = content

    @rule(name=NAMES, content=CONTENTS)
    def create(self, name: str, content: bytes) -> None:
        assert self.files.create(name, content) == (name not in self.held)
        self.held.setdefault(name, content)

    @rule(name=NAMES)
    def remember(self, name: str) -> None:
        stored = self.files.read(name)
        assert (stored is None) == (name not in self.held)
        if stored is not None:
            self.versions[name] = stored.version

    @rule(name=NAMES, content=CONTENTS)
    def swap(self, name: str, content: bytes) -> None:
        now, remembered = self.files.read(name), self.versions.get(name)
        swapped = self.files.swap(name, content, remembered)
        assert (swapped is not None) == (remembered == (now.version if now else None))
        if swapped is not None:
            self.held[name], self.versions[name] = content, swapped

    @rule(name=NAMES, content=CONTENTS)
    def update(self, name: str, content: bytes) -> None:
        after = (self.held.get(name) or b"")[:9] + content
        assert self.files.update(name, lambda before: (before or b"")[:9] + content) == after
        self.held[name] = after

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        assert self.files.delete(name) == (name in self.held)
        self.held.pop(name, None)

    @rule(prefix=st.sampled_from(["", "a", "dir/", "dir/d", "w", "z/"]))
    def list_names(self, prefix: str) -> None:
        assert self.files.names(prefix) == sorted(name for name in self.held if name.startswith(prefix))

    @invariant()
    def everything_is_there(self) -> None:
        assert self.files.names() == sorted(self.held)

    def teardown(self) -> None:
        assert {name: stored(self.files, name).content for name in self.files.names()} == self.held


def test_any_history_leaves_what_a_dictionary_would_hold(root: str) -> None:
    run_state_machine_as_test(
        type("HistoryHere", (History,), {"root": root}),
        settings=settings(max_examples=10 if root.startswith("gs://") else 40, stateful_step_count=25, deadline=None),
    )
