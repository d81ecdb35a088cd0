"""Standard change templates: proposals, versions, retirement, and what a change takes from its template.

Begin with `templates`, which changes use. `template_rules` publishes versions, `proposal_rules` has another person
decide, and `content` parses and validates what a template contains. See docs/standard-changes.md.
"""
