#!/usr/bin/env python3
"""A swarm of thousands of hosts, piece by piece, where no machine has room for the real one.

Usage: swarm_model.py [--hosts N] [--size MB] [--rate MB/s] [--piece MiB] [--neighbours N] [--delay MS] [--seed N]

Time goes in steps of the time that one piece takes on a link. In a step a host sends at most one piece
and receives at most one. Who receives asks a few neighbours, picked at random, for a piece that it has
not; of some such pieces it takes the one that the fewest have. What a host has, others know after
`--delay`. One host has the image at first and sends what nobody has before anything else (docs/p2p.md).
No link fails, all are alike, and hashing and starting cost nothing: what is left is what the way of
spreading costs.
"""

import argparse
import collections
import random

ASKED = 8  # neighbours that a host can ask in one step
COMPARED = 3  # pieces of which the rarest is taken


class Swarm:
    def __init__(self, hosts, pieces, neighbours, delay, chance):
        self.pieces, self.delay, self.chance = pieces, delay, chance
        self.whole = (1 << pieces) - 1
        # Host 0 has everything. `told` is what the others know of a host.
        self.told = [self.whole] + [0] * hosts
        self.needs = [0] + [self.whole] * hosts
        self.copies = [0] * pieces
        self.neighbours = [set() for _ in range(hosts + 1)]
        for host in range(1, hosts + 1):
            for other in chance.sample(range(hosts + 1), min(neighbours // 2, hosts)):
                if other != host:
                    self.neighbours[host].add(other)
                    self.neighbours[other].add(host)
        self.neighbours = [list(near) for near in self.neighbours]
        self.unsent = 0  # the first piece that the seed has given to nobody
        self.untold = collections.deque()  # (step, host, piece)
        self.ended = {}
        self.sent_by_seed = 0

    def rarest(self, choice):
        best = None
        for _ in range(COMPARED):
            start = self.chance.randrange(self.pieces)
            part = choice >> start
            piece = start + (part & -part).bit_length() - 1 if part else (choice & -choice).bit_length() - 1
            if best is None or self.copies[piece] < self.copies[best]:
                best = piece
        return best

    def step(self, now):
        while self.untold and self.untold[0][0] <= now:
            _, host, piece = self.untold.popleft()
            self.told[host] |= 1 << piece
        received, busy = [], set()
        waiting = [host for host in range(1, len(self.needs)) if self.needs[host]]
        self.chance.shuffle(waiting)
        for host in waiting:
            near = self.neighbours[host]
            for _ in range(ASKED):
                other = near[int(self.chance.random() * len(near))]
                if other in busy:
                    continue
                if other == 0 and self.unsent < self.pieces:
                    piece, self.unsent = self.unsent, self.unsent + 1
                else:
                    choice = self.told[other] & self.needs[host]
                    if not choice:
                        continue
                    piece = self.rarest(choice)
                self.sent_by_seed += other == 0
                busy.add(other)
                received.append((host, piece))
                break
        for host, piece in received:
            self.needs[host] &= ~(1 << piece)
            self.copies[piece] += 1
            self.untold.append((now + 1 + self.delay, host, piece))
            if not self.needs[host]:
                self.ended[host] = now + 1

    def run(self):
        now = 0
        while len(self.ended) < len(self.needs) - 1:
            self.step(now)
            now += 1
        return sorted(self.ended.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=2000)
    parser.add_argument("--size", type=float, default=3000, metavar="MB")
    parser.add_argument("--rate", type=float, default=300, metavar="MB/s")
    parser.add_argument("--piece", type=float, default=2, metavar="MiB")
    parser.add_argument("--neighbours", type=int, default=50)
    parser.add_argument("--delay", type=float, default=20, metavar="MS")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    piece = arguments.piece * (1 << 20) / 1e6
    step = piece / arguments.rate
    pieces = -(-int(arguments.size * 1e6) // int(piece * 1e6))
    swarm = Swarm(arguments.hosts, pieces, arguments.neighbours, round(arguments.delay / 1000 / step), random.Random(arguments.seed))
    steps = swarm.run()
    at = {name: steps[min(len(steps) - 1, int(len(steps) * part))] * step for name, part in (("p50", 0.5), ("p99", 0.99), ("last", 1))}
    print(f"{arguments.hosts} hosts, {pieces} pieces: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in at.items())
          + f"; bound {arguments.size / arguments.rate:.1f} s; the seed gave {swarm.sent_by_seed / pieces:.2f} times the image")


if __name__ == "__main__":
    main()
