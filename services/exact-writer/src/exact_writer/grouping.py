"""How many calls the waiting commands of mode ledger take: pure, by the order in which the writer goes.

Commands share an entry of Exact's where journal, currency, rate and period agree. But those of one customer keep their order, so
where a customer's months alternate each entry takes of it only what comes before the next change, and there are more entries than
the number of documents says.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from itertools import takewhile
from typing import Final

import msgspec

from exact_writer import batches
from exact_writer.work_classes import HISTORY, ORDER, WorkClass

# Other work goes before batches for a minute, in which there are so many calls besides the batch's own.
OTHERS_BETWEEN: Final = 59


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Commands of one customer and class that follow each other and have one key; `key` is empty where each takes its own call.

    `sequence` is that of the first; `lines` are the lines of all of them.
    """

    customer: str
    work_class: WorkClass
    key: str
    sequence: int
    number: int
    lines: float = 0.0


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """The entries of Exact's that come of it, by the class of the command whose turn it is; `shared` by several documents."""

    calls: Counter[WorkClass]
    shared: Counter[WorkClass]


class _Lane:
    """What is left of one customer's commands: history in a lane of its own, since nothing of today waits for it."""

    def __init__(self, *, is_history: bool) -> None:
        self.is_history = is_history
        self.runs: deque[Run] = deque()
        self.taken = 0  # of the first run
        self.is_listed = False
        self.other: _Lane | None = None

    @property
    def head(self) -> Run:
        return self.runs[0]

    @property
    def is_held_up(self) -> bool:
        """Whether something earlier of the customer goes before: today's before history, unless they fit together."""
        earlier = takewhile(lambda run: run.sequence < self.head.sequence, self.other.runs if self.other else ())
        return self.is_history and any(run.key != self.head.key or not run.key for run in earlier)

    def take(self, number: int) -> None:
        """Take so many of the first run."""
        self.taken += number
        if self.taken == self.head.number:
            self.runs.popleft()
            self.taken = 0


_Entry = tuple[int, int, _Lane]  # sequence of the lane's first run, place, lane


class _Waiting:
    """The lanes whose first command may go now, by its key."""

    def __init__(self, runs: Iterable[Run]) -> None:
        lanes: dict[tuple[str, bool], _Lane] = {}
        for run in sorted(runs, key=lambda each: each.sequence):
            is_history = run.work_class in HISTORY
            lane = lanes.setdefault((run.customer, is_history), _Lane(is_history=is_history))
            lane.runs.append(run)
        for (customer, is_history), lane in lanes.items():
            lane.other = lanes.get((customer, not is_history))
        self._by_key: dict[tuple[str, bool], list[_Entry]] = defaultdict(list)
        self._by_class: dict[WorkClass, list[_Entry]] = defaultdict(list)
        self._alone: list[_Entry] = []
        self._places = 0
        for lane in lanes.values():
            self.list(lane)

    def list(self, lane: _Lane) -> None:
        """Note a lane under its first command, when that may go."""
        if not lane.runs or lane.is_listed or lane.is_held_up:
            return
        lane.is_listed = True
        self._places += 1
        entry = (lane.head.sequence, self._places, lane)
        if not lane.head.key:
            heapq.heappush(self._alone, entry)
            return
        heapq.heappush(self._by_key[lane.head.key, lane.is_history], entry)
        heapq.heappush(self._by_class[lane.head.work_class], entry)

    def took(self, lane: _Lane) -> None:
        """List what comes next of a lane, and of the one that it held up."""
        lane.is_listed = False
        self.list(lane)
        if lane.other is not None:
            self.list(lane.other)

    def next_alone(self) -> _Lane | None:
        """The first lane whose command takes a call of its own."""
        return heapq.heappop(self._alone)[2] if self._alone else None

    def next_of_turn(self) -> Run | None:
        """The command of mode ledger whose turn it is."""
        for work_class in ORDER:
            heap = self._by_class[work_class]
            while heap:
                sequence, _, lane = heap[0]
                if lane.is_listed and lane.runs and lane.head.sequence == sequence:
                    return lane.head
                heapq.heappop(heap)
        return None

    def next_of_key(self, key: str) -> _Lane | None:
        """The first lane that fits into an entry of this key: history last."""
        for is_history in (False, True):
            heap = self._by_key[key, is_history]
            if heap:
                return heapq.heappop(heap)[2]
        return None


def entries_of(runs: Iterable[Run]) -> Entries:
    """The entries that these commands of mode ledger go to, one after the other as the writer fills them."""
    waiting = _Waiting(runs)
    calls, shared = Counter[WorkClass](), Counter[WorkClass]()
    others = 0
    while True:
        lane = waiting.next_alone() if others < OTHERS_BETWEEN else None
        if lane is not None:
            others += 1
            lane.take(1)
            waiting.took(lane)
            continue
        first = waiting.next_of_turn()
        if first is None and not others:
            return Entries(calls=calls, shared=shared)
        others = 0
        if first is not None:
            calls[first.work_class] += 1
            shared[first.work_class] += _fill(waiting, first.key) > 1


def _fill(waiting: _Waiting, key: str) -> int:
    """Take what fits into one entry; how many documents that were."""
    left, lines = batches.most_of(key), float(batches.MOST_LINES)
    filled = 0
    while left:
        lane = waiting.next_of_key(key)
        if lane is None:
            break
        of_each = lane.head.lines / lane.head.number
        fits = int(lines / of_each) if of_each else left
        number = min(left, lane.head.number - lane.taken, max(fits, 0 if filled else 1))
        if number:
            lane.take(number)
        waiting.took(lane)
        filled += number
        left -= number
        lines -= number * of_each
        if fits <= number:
            break
    return filled
