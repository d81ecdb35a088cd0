"""State models: which moves of a change a model allows, and under which conditions.

Begin with `decision`, the pure function that decides. `model` has the model as it decides, `stored` reads it from the
rows, `shipped` has the models of every instance, and `conditions` the encoded queries over facts. `validation` finds
states that cannot be reached or left, and `row_rules` has the rules for writes of the rows.
"""
