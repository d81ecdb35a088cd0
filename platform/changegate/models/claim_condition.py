"""The vocabulary of claim conditions: how a claim is compared, and the type it must have."""

OPERATORS = {
    "equals": "Equals",
    "one_of": "Is one of",
    "glob": "Matches by segment",
    "contains": "Contains",
    "exists": "Exists",
}
VALUE_TYPES = {
    "string": "String",
    "number": "Number",
    "boolean": "Boolean",
    "list": "List",
}
# Beyond it two whole numbers are one to a reader that keeps numbers as doubles (RFC 8259 §6).
LARGEST_NUMBER = 2**53 - 1
