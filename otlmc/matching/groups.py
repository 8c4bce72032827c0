"""Groups of units that must move together, and the values of a traced graph that carry them."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Signal:
    """A value, with the group on one of its axes.

    Attributes
    ----------
    group : int
        Group 0 is fixed: nothing there may be permuted.
    axis : int
        The axis of the units, counted from the last one, -1.
    ndim : int or None
        The number of axes, where it is known.
    block : int or None
        How many consecutive entries of the axis belong to each unit; ``None`` where an image was
        flattened, whose size nobody knows before a layer reads it.
    sure : bool
        Whether the axis has no entries beside those. A flatten may have put several positions of
        all units one after the other, which shows when a layer reads it.
    """

    group: int
    axis: int = -1
    ndim: int | None = None
    block: int | None = 1
    sure: bool = True

    @property
    def on_channels(self) -> bool:
        """Whether the units are on axis 1; features of unknown rank are (samples, units)."""
        return self.axis == -1 if self.ndim is None else self.ndim + self.axis == 1

    def alike(self, other: "Signal") -> bool:
        """Whether two values can be added entry by entry, unit upon unit."""
        ranks = {self.ndim, other.ndim} - {None}
        return (self.axis, self.block) == (other.axis, other.block) and len(ranks) < 2


FIXED = Signal(0)


@dataclass(frozen=True)
class Free:
    """A parameter or buffer that a forward pass uses by itself; constants have no ``key``."""

    key: str | None
    shape: tuple[int, ...]


@dataclass
class Groups:
    """A union-find over groups, with the reason why some of them are fixed.

    Group 0 is the fixed one, and a union is called after its first group.
    """

    parent: list[int] = field(default_factory=lambda: [0])
    sizes: list[int] = field(default_factory=lambda: [0])
    names: list[str] = field(default_factory=lambda: [""])
    reasons: dict[str, str] = field(default_factory=dict)

    def open(self, name: str, size: int) -> int:
        """Return a new group."""
        self.parent.append(len(self.parent))
        self.sizes.append(size)
        self.names.append(name)
        return len(self.parent) - 1

    def find(self, group: int) -> int:
        """Return the group that stands for the union of a group; 0 if it is fixed."""
        while self.parent[group] != group:
            group = self.parent[group]
        return group

    def name(self, group: int) -> str | None:
        """Return the name of the union of a group, ``None`` if it is fixed."""
        root = self.find(group)
        return self.names[root] if root else None

    def fix(self, group: int, why: str | None) -> None:
        """Leave a group in place. Without a reason it is in the nature of the network."""
        root = self.find(group)
        if root:
            self.parent[root] = 0
            if why is not None:
                self.reasons[self.names[root]] = why

    def join(self, a: int, b: int, why: str | None) -> None:
        """Let two groups be permuted alike, or neither if they differ in size."""
        low, high = sorted((self.find(a), self.find(b)))
        if low == high:
            return
        if low and self.sizes[low] != self.sizes[high]:
            self.fix(low, why)
            self.fix(high, why)
        elif low:
            self.parent[high] = low
        else:
            self.fix(high, why)

    def roots(self) -> list[int]:
        """Return the groups that may be permuted, in the order in which they were opened."""
        return [g for g in range(1, len(self.parent)) if self.parent[g] == g]
