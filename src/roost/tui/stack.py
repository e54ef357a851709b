"""The rows of a screen in order: those of a sub-session right below its head, whatever comes in between."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from roost.tui.rows import Call, Changes, Nest, Row, User


@dataclass(slots=True, eq=False)
class Level:
    """The rows of one session, in the order in which they came; a `Nest` among them stands for a level below."""

    id: str
    depth: int = 0
    parent: "Level | None" = None
    head: Nest | None = None
    rows: list[Row] = field(default_factory=list)


class Stack:
    """Rows flattened as they are kept: `rows` is always in order.  `changes` gathers what happens to them."""

    def __init__(self, root: str) -> None:
        self.root = Level(root)
        self.levels: dict[str, Level] = {root: self.root}
        self.rows: list[Row] = []
        self.queued: list[User] = []  # these stand below all others
        self.keys: dict[str, Row] = {}
        self.changes = Changes()

    def level(self, session: str) -> Level:
        """That of a session; the root's for one that is not known."""
        return self.levels.get(session, self.root)

    def place(self, row: Row, level: Level, *, before: Row | None = None) -> None:
        """Put a row at the end of a level, or before another one of it."""
        row.session, row.depth = level.id, level.depth
        if before is None:
            at = self._end(level)
            level.rows.append(row)
        else:
            at = self.index(before)
            level.rows.insert(_index(level.rows, before), row)
        self.rows.insert(at, row)
        self._appear(row)

    def sort_in(self, row: Row, level: Level) -> None:
        """Put a row where its number says."""
        later = next((other for other in _after(level.rows, row.seq)), None)
        self.place(row, level, before=later)

    def nest(self, head: Nest, parent: Level, call: Call | None) -> Level:
        """A level below another, under the call it is for."""
        below = _following(parent.rows, call) if call is not None else None
        self.place(head, parent, before=below)
        level = self.levels[head.sub] = Level(head.sub, parent.depth + 1, parent, head)
        return level

    def queue(self, row: User) -> None:
        """Put a message that waits below all others."""
        row.session = self.root.id
        self.queued.append(row)
        self.rows.append(row)
        self._appear(row)

    def dequeue(self, row: User, level: Level) -> None:
        """Its moment has come: it stands at the end of its session."""
        self.queued.remove(row)
        del self.rows[self.index(row)]
        self.changes.vanished.add(row.key)
        row.version += 1
        self.place(row, level)

    def touch(self, row: Row) -> None:
        """A row shows something else."""
        row.version += 1
        self.changes.changed.add(row.key)

    def drop(self, row: Row) -> None:
        """Take a row away."""
        if self.keys.pop(row.key, None) is None:
            return
        if isinstance(row, User) and row in self.queued:
            self.queued.remove(row)
        else:
            level = self.level(row.session)
            del level.rows[_index(level.rows, row)]
        del self.rows[self.index(row)]
        self.changes.vanish(row.key)

    def index(self, row: Row) -> int:
        """Where a row stands; looked for from the end, since that is where things happen.

        Raises:
            ValueError: nowhere.
        """
        return _index(self.rows, row)

    def free(self, key: str) -> str:
        """The key itself, or the first of its kind that no row has."""
        number, found = 1, key
        while found in self.keys:
            number += 1
            found = f"{key}#{number}"
        return found

    def graft(self, older: "Stack") -> None:
        """Put the rows of another, which are all older, before these."""
        both = [(self.levels[session], level) for session, level in older.levels.items() if session in self.levels]
        for mine, level in both:
            if mine.head is not None and level.head is not None and mine.parent is not None:
                del mine.parent.rows[_index(mine.parent.rows, mine.head)]
                _replace(older.level(level.head.session).rows, level.head, mine.head)
        for mine, level in both:
            mine.rows[:0] = level.rows
        lone = [level for level in self.levels.values() if level.id not in older.levels]
        self.levels = {**older.levels, **self.levels}
        for level in lone:
            self._settle(level)
        self.keys.update({key: row for key, row in older.keys.items() if key not in self.keys})
        self.rows = [*self._flat(self.root), *self.queued]
        self.changes.appeared |= older.keys.keys()

    def _settle(self, level: Level) -> None:
        """Put the head of a level under its call, where that has only come now."""
        head, parent = level.head, level.parent
        if head is None or parent is None or not head.call:
            return
        call = next((row for row in parent.rows if isinstance(row, Call) and row.call == head.call), None)
        if call is not None:
            del parent.rows[_index(parent.rows, head)]
            behind = _following(parent.rows, call)
            parent.rows.insert(len(parent.rows) if behind is None else _index(parent.rows, behind), head)

    def _flat(self, level: Level) -> Iterator[Row]:
        for row in level.rows:
            row.session, row.depth = level.id, level.depth
            yield row
            if isinstance(row, Nest) and (below := self.levels.get(row.sub)) is not None:
                below.parent, below.depth = level, level.depth + 1
                yield from self._flat(below)

    def _end(self, level: Level) -> int:
        if level is self.root:
            return len(self.rows) - len(self.queued)
        last: Row | None = level.head
        while level.rows:
            last = level.rows[-1]
            if not isinstance(last, Nest):
                break
            level = self.levels[last.sub]
        return self.index(last) + 1 if last is not None else len(self.rows)

    def _appear(self, row: Row) -> None:
        self.keys[row.key] = row
        self.changes.appeared.add(row.key)


def _index(rows: list[Row], row: Row) -> int:
    for at in range(len(rows) - 1, -1, -1):
        if rows[at] is row:
            return at
    raise ValueError(row.key)


def _replace(rows: list[Row], old: Row, new: Row) -> None:
    rows[_index(rows, old)] = new


def _after(rows: list[Row], seq: int) -> Iterable[Row]:
    """The first of the rows at the end whose numbers are all greater."""
    at = len(rows)
    while at and rows[at - 1].seq > seq:
        at -= 1
    return rows[at : at + 1]


def _following(rows: list[Row], call: Row) -> Row | None:
    """What stands behind a call and the sub-sessions that are there for it."""
    at = _index(rows, call) + 1
    while at < len(rows) and isinstance(rows[at], Nest):
        at += 1
    return rows[at] if at < len(rows) else None
