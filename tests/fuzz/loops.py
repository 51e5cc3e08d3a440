#!/usr/bin/python3
"""Writes functions with loops over arrays on the stack, for rt_loops.cpp.

    loops.py SEED COUNT FILES FOLDER

writes FOLDER/loops_0.inc ... with COUNT functions in all, the same ones for the same seed on every machine. Each file is compiled twice: as MOVABLE
goroutine code, whose every check moves the stack under STACKTIDE_STRESS=move, and as ordinary code; the results must be the same.

What is varied is what a compiler may turn into a pointer that leaves its object: an index that begins at a large number `lo` which is subtracted
again at the access, strides, both directions, index types, element types, two dimensions, structures, pointer walks, early exits. Calls in the
loops move the stack. All arithmetic is unsigned, and every index stays inside its array, so nothing here is undefined.
"""
import pathlib
import random
import sys

ELEMENTS = ["unsigned char", "unsigned short", "unsigned", "unsigned long"]
INDEXES = ["int", "long", "unsigned", "unsigned long", "short"]


class Function:
    def __init__(self, rng, number):
        self.rng = rng
        self.number = number
        self.lines = []
        self.depth = 1
        self.names = 0
        self.arrays = []

    def say(self, text):
        self.lines.append("  " * self.depth + text)

    def name(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    def array(self):
        """An array, or one of structures: (name, length, how to write element i)."""
        name, length = self.name("a"), self.rng.choice([7, 16, 24, 33, 48])
        if self.rng.random() < 0.3:
            member = self.rng.choice(["small", "wide", "middle"])
            self.say(f"Record {name}[{length}];")
            access = lambda i: f"{name}[{i}].{member}"
            self.say(f"fill_bytes({name}, sizeof {name}, seed);")
        else:
            element = self.rng.choice(ELEMENTS)
            self.say(f"{element} {name}[{length}];")
            access = lambda i: f"{name}[{i}]"
            self.say(f"for (int i = 0; i < {length}; ++i) {name}[i] = static_cast<{element}>(seed * {self.rng.randrange(1, 99, 2)} + i);")
        self.arrays.append((name, length, access))

    def call(self, access, index):
        """Something that moves the stack, perhaps through a pointer into the array."""
        kind = self.rng.random()
        if kind < 0.45:
            return f"acc += touch(acc);"
        if kind < 0.7:
            return f"poke(&{access(index)}, acc);"
        if kind < 0.85:
            return f"if (acc % {self.rng.randrange(2, 5)} == 0) acc ^= touch(acc);"
        return f"acc = acc * 3 + peek(&{access(index)});"

    def use(self, access, index):
        kind = self.rng.randrange(4)
        if kind == 0:
            return f"acc += {access(index)} * {self.rng.randrange(1, 9)}u;"
        if kind == 1:
            return f"{access(index)} += static_cast<unsigned char>(acc);"
        if kind == 2:
            return f"acc = (acc << 5) - acc + {access(index)}; {access(index)} ^= 5;"
        return f"acc ^= {access(index)};"

    def body(self, access, index):
        statements = [self.use(access, index) for _ in range(self.rng.randrange(1, 4))]
        if self.rng.random() < 0.9:
            statements.insert(self.rng.randrange(len(statements) + 1), self.call(access, index))
        if self.rng.random() < 0.4:
            _, length, other = self.rng.choice(self.arrays)
            statements.append(f"acc += {other(f'static_cast<unsigned long>({index}) % {length}')};")
        if self.rng.random() < 0.2:
            statements.append(f"if (acc % {self.rng.randrange(97, 997)} == 3) break;")
        for statement in statements:
            self.say(statement)

    def indexed(self):
        """From lo, which is subtracted again: up or down, with a stride, and perhaps a factor."""
        _, length, access = self.rng.choice(self.arrays)
        index, i = self.rng.choice(INDEXES), self.name("i")
        lo = {"short": "static_cast<short>(lo % 20000)", "int": "static_cast<int>(lo)", "unsigned": "static_cast<unsigned>(lo)"}.get(index, "lo")
        first, stride, factor = self.name("first"), self.rng.randrange(1, 4), self.rng.choice([1, 1, 2, 3])
        steps = length // factor
        self.say(f"const {index} {first} = static_cast<{index}>({lo});")
        at = lambda: access(f"({i} - {first}) * {factor}" if factor > 1 else f"{i} - {first}")
        if self.rng.random() < 0.5:
            self.say(f"for ({index} {i} = {first}; {i} < {first} + {steps}; {i} += {stride}) {{")
        elif "unsigned" in index:
            self.say(f"for ({index} {i} = {first} + {steps}; {i}-- > {first};) {{")
        else:
            self.say(f"for ({index} {i} = {first} + {steps} - 1; {i} >= {first}; {i} -= {stride}) {{")
        self.depth += 1
        text = f"({i} - {first}) * {factor}" if factor > 1 else f"{i} - {first}"
        self.body(access, text)
        self.depth -= 1
        self.say("}")

    def mirrored(self):
        """Two arrays, one from its end."""
        _, length, access = self.rng.choice(self.arrays)
        _, length2, access2 = self.rng.choice(self.arrays)
        n, i = min(length, length2), self.name("i")
        self.say(f"for (long {i} = lo; {i} < lo + {n}; ++{i}) {{")
        self.depth += 1
        self.say(f"acc += {access(f'{i} - lo')} + 7u * {access2(f'lo + {n - 1} - {i}')};")
        self.say(self.call(access, f"lo + {n - 1} - {i}"))
        self.say(f"{access2(f'{i} - lo')} ^= static_cast<unsigned char>(acc >> 3);")
        self.depth -= 1
        self.say("}")

    def walked(self):
        """A pointer through the array, up or down."""
        name, length, _ = self.rng.choice(self.arrays)
        q, stride = self.name("q"), self.rng.randrange(1, 4)
        element = lambda _: self.element(name, q)
        if self.rng.random() < 0.5:
            self.say(f"for (auto* {q} = {name}; {q} < {name} + {length - length % stride}; {q} += {stride}) {{")
            self.depth += 1
        else:
            self.say(f"for (auto* {q} = {name} + {length}; {q} != {name};) {{")
            self.depth += 1
            self.say(f"--{q};")
        self.body(element, f"({q} - {name})")
        self.depth -= 1
        self.say("}")

    def element(self, name, q):
        access = next(access for other, _, access in self.arrays if other == name)
        return access("0").replace(f"{name}[0]", f"(*{q})")

    def matrix(self):
        rows, columns = self.rng.randrange(3, 7), self.rng.randrange(3, 9)
        m, i, j = self.name("m"), self.name("i"), self.name("j")
        element = self.rng.choice(ELEMENTS)
        self.say(f"{element} {m}[{rows}][{columns}];")
        self.say(f"for (int r = 0; r < {rows}; ++r) for (int c = 0; c < {columns}; ++c) {m}[r][c] = static_cast<{element}>(seed + r * 10 + c);")
        self.say(f"for (long {i} = lo; {i} < lo + {rows}; ++{i}) {{")
        self.depth += 1
        access = lambda _: f"{m}[{i} - lo][{j} - {i}]"
        self.say(f"for (long {j} = {i}; {j} < {i} + {columns}; {j} += {self.rng.randrange(1, 3)}) {{")
        self.depth += 1
        self.body(access, "acc")
        self.depth -= 1
        self.say("}")
        if self.rng.random() < 0.5:
            self.say(f"acc += touch({m}[{i} - lo][{columns - 1}]);")
        self.depth -= 1
        self.say("}")
        self.say(f"for (auto& row : {m}) for (auto& x : row) acc = acc * 31 + x;")

    def passed(self):
        """The array's address handed on; the loop is in a function that does not know how long it is."""
        # Not of structures: their padding has no value.
        plain = [(name, length) for name, length, access in self.arrays if "." not in access("0")]
        if not plain:
            return self.indexed()
        name, length = self.rng.choice(plain)
        bytes_ = f"reinterpret_cast<unsigned char*>({name})"
        self.say(f"acc += {self.rng.choice(['sum_up', 'sum_down', 'sum_between'])}({bytes_}, lo, lo + {length}, acc);")

    def text(self):
        self.say("unsigned long acc = seed;")
        for _ in range(self.rng.randrange(1, 4)):
            self.array()
        for _ in range(self.rng.randrange(1, 4)):
            self.rng.choice([self.indexed, self.indexed, self.indexed, self.mirrored, self.walked, self.matrix, self.passed])()
        for name, _, _ in self.arrays:
            self.say(f"acc = acc * 31 + sum_bytes({name}, sizeof {name});")
        self.say("return acc;")
        return "\n".join([f"unsigned long loop_{self.number}(long lo, unsigned long seed) {{"] + self.lines + ["}"])


def main():
    seed, count, files, folder = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4])
    for file in range(files):
        numbers = range(file, count, files)
        functions = [Function(random.Random(f"{seed}/{number}"), number).text() for number in numbers]
        table = ", ".join(f"{{{number}, loop_{number}}}" for number in numbers)
        (folder / f"loops_{file}.inc").write_text("\n\n".join(functions) + f"\n\nconstexpr Loop kLoops[] = {{{table}}};\n")


main()
