"""The console's pages of integrations: the list, the form with its steps, keys, and trials.

Begin with `views` and `form`. `fragments` answers the buttons inside the form, `pages` renders.
"""
