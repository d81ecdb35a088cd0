"""The operators, types, and limits of claim conditions."""

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
# Larger integers are not exact in JSON parsers that use doubles (RFC 8259 §6).
LARGEST_NUMBER = 2**53 - 1
MAX_CLAIM_LENGTH = 255
MAX_JSON_DEPTH = 8  # of an assertion's payload, and of documents about keys: deeper ones are refused
