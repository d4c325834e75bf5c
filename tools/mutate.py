"""Makes mutants of C: each is one small change at one place of the syntax tree, in a file of its own.

The tree is libclang's. A mutant is known by content, not by number: file, function, operator, the line as it was and as
it becomes (blanks evened out), and which of several alike it is within the function. So a move of code changes no name,
and an edit of the line does.

    operator    what it does
    drop        a statement that is an expression goes; a call that answers `bool` is not made, and answers true
    negate      the condition of if, while, for, ?: is turned around
    relation    <  <=  and  >  >=  and  ==  !=  are swapped
    logic       && and || are swapped
    arithmetic  + -, * /, << >>, & | are swapped, also in += and the like, ++ and --
    constant    an integer is one more, or one less
    answer      `return true` and `return false` are swapped
"""

import dataclasses
import hashlib
import re

from clang.cindex import CursorKind, Index, TranslationUnit, TypeKind

SWAPS = {
    "relation": {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="},
    "logic": {"&&": "||", "||": "&&"},
    "arithmetic": {"+": "-", "-": "+", "*": "/", "/": "*", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "%": "/"}
    | {"+=": "-=", "-=": "+=", "|=": "&=", "&=": "|=", "<<=": ">>=", ">>=": "<<="},
}
CONDITIONALS = {CursorKind.IF_STMT, CursorKind.WHILE_STMT, CursorKind.CONDITIONAL_OPERATOR}
EXPRESSIONS = {
    CursorKind.CALL_EXPR,
    CursorKind.BINARY_OPERATOR,
    CursorKind.COMPOUND_ASSIGNMENT_OPERATOR,
    CursorKind.UNARY_OPERATOR,
}


@dataclasses.dataclass(frozen=True)
class Mutant:
    file: str  # relative to the root
    function: str
    operator: str
    line: str  # as it was, blanks evened out
    becomes: str
    repeat: int  # the how-manieth of those that are alike in all of the above
    number: int = dataclasses.field(compare=False)  # of the line, for people
    start: int = dataclasses.field(compare=False)  # of what is replaced, in bytes
    end: int = dataclasses.field(compare=False)
    text: str = dataclasses.field(compare=False)

    @property
    def key(self):
        parts = (self.file, self.function, self.operator, self.line, self.becomes, str(self.repeat))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def apply(self, source):
        """The file's bytes with the change."""
        return source[: self.start] + self.text.encode() + source[self.end :]


class File:
    """One source file: its tree, and the edits that were found in it."""

    def __init__(self, root, path, flags):
        self.root, self.path = root, path
        self.source = (root / path).read_bytes()
        self.edits = []  # (function, operator, start, end, text)
        unit = Index.create().parse(str(root / path), args=["-x", "c", *flags], options=TranslationUnit.PARSE_NONE)
        fatal = [str(problem) for problem in unit.diagnostics if problem.severity >= 3]
        if fatal:
            raise ValueError(f"{path}: {fatal[0]}")
        for cursor in unit.cursor.get_children():
            if cursor.kind == CursorKind.FUNCTION_DECL and cursor.is_definition() and self.is_here(cursor):
                self.visit(cursor, cursor.spelling)

    def is_here(self, cursor):
        return cursor.location.file is not None and cursor.location.file.name == str(self.root / self.path)

    def span(self, cursor):
        return cursor.extent.start.offset, cursor.extent.end.offset

    def text(self, cursor):
        start, end = self.span(cursor)
        return self.source[start:end].decode()

    def add(self, function, operator, start, end, text):
        if start < end:
            self.edits.append((function, operator, start, end, text))

    def visit(self, cursor, function):
        children = list(cursor.get_children())
        self.at_statement(cursor, children, function)
        self.at_condition(cursor, children, function)
        self.at_operator(cursor, children, function)
        self.at_value(cursor, children, function)
        for child in children:
            self.visit(child, function)

    def at_statement(self, cursor, children, function):
        """Expressions that stand where a statement does."""
        if cursor.kind == CursorKind.COMPOUND_STMT:
            bodies = children
        elif cursor.kind in (CursorKind.IF_STMT, CursorKind.WHILE_STMT, CursorKind.FOR_STMT):
            bodies = children[1:] if cursor.kind == CursorKind.IF_STMT else children[-1:]
        else:
            return
        for body in bodies:
            start, end = self.span(body)
            if body.kind in EXPRESSIONS and self.source[end : end + 1] == b";" and self.is_plain(body):
                self.add(function, "drop", start, end, "(void)0")

    def is_plain(self, cursor):
        """Not out of a macro: of such the extent is that of the macro's name, with no text of its own to change."""
        return re.match(r"[A-Z][A-Z0-9_]+\b", self.text(cursor)) is None

    def at_condition(self, cursor, children, function):
        if cursor.kind in CONDITIONALS and children:
            start, end = self.span(children[0])
            self.add(function, "negate", start, end, f"!({self.source[start:end].decode()})")

    def at_operator(self, cursor, children, function):
        if cursor.kind in (CursorKind.BINARY_OPERATOR, CursorKind.COMPOUND_ASSIGNMENT_OPERATOR) and len(children) == 2:
            start, end = self.span(children[0])[1], self.span(children[1])[0]
            between = re.fullmatch(r"(?:\s|/\*.*?\*/)*([-+*/%<>=!&|]+)\s*\(*\s*", self.source[start:end].decode(), re.DOTALL)
            for operator, swaps in SWAPS.items():
                if between and between[1] in swaps:
                    at = start + len(self.source[start:end].decode()[: between.start(1)].encode())
                    self.add(function, operator, at, at + len(between[1]), swaps[between[1]])
        if cursor.kind == CursorKind.UNARY_OPERATOR and self.is_plain(cursor):
            text = self.text(cursor)
            for old, new in (("++", "--"), ("--", "++")):
                if text.startswith(old) or text.endswith(old):
                    start, end = self.span(cursor)
                    self.add(function, "arithmetic", start, end, text.replace(old, new))

    def at_value(self, cursor, children, function):
        if cursor.kind == CursorKind.INTEGER_LITERAL:
            start, end = self.span(cursor)
            literal = re.fullmatch(r"(\d+)([uUlL]*)", self.source[start:end].decode())
            if literal:
                for value in (int(literal[1]) + 1, int(literal[1]) - 1):
                    self.add(function, "constant", start, end, f"({value}{literal[2]})" if value < 0 else f"{value}{literal[2]}")
        if cursor.kind == CursorKind.RETURN_STMT:
            start, end = self.span(cursor)
            swapped = {"return true": "return false", "return false": "return true"}.get(self.source[start:end].decode())
            if swapped:
                self.add(function, "answer", start, end, swapped)
        if cursor.kind == CursorKind.CALL_EXPR and cursor.type.get_canonical().kind == TypeKind.BOOL and self.is_plain(cursor):
            start, end = self.span(cursor)
            self.add(function, "drop", start, end, "1 == 1" if self.stands_alone(end) else "(1 == 1)")

    def stands_alone(self, end):
        return self.source[end : end + 1] == b";"

    def line_around(self, start, end):
        first = self.source.rfind(b"\n", 0, start) + 1
        last = self.source.find(b"\n", end)
        return first, last if last >= 0 else len(self.source)

    def mutants(self):
        alike = {}
        for function, operator, start, end, text in self.edits:
            first, last = self.line_around(start, end)
            even = lambda raw: " ".join(raw.decode().split())
            line = even(self.source[first:last])
            becomes = even(self.source[first:start] + text.encode() + self.source[end:last])
            same = (function, operator, line, becomes)
            alike[same] = alike.get(same, 0) + 1
            number = self.source.count(b"\n", 0, start) + 1
            yield Mutant(self.path, function, operator, line, becomes, alike[same], number, start, end, text)


def mutants_of(root, paths, flags):
    """All mutants of the files, in the order of files and places."""
    return [mutant for path in paths for mutant in File(root, path, flags).mutants()]


def drawn(mutants, seed):
    """The same mutants in an order that the seed gives. What one mutant is does not move another."""
    return sorted(mutants, key=lambda mutant: hashlib.sha256(f"{seed} {mutant.key}".encode()).digest())
