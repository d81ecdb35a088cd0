"""Single sign-on of people by OpenID Connect: providers, the authorization code flow, and the users that it leads to.

Begin with `sign_in.finish`, which turns a provider's answer into a user. `attempts` keeps what a browser has begun,
`exchange` talks to the provider, `people` finds and creates users, `grants` maps claims to groups and roles, and
`rules` are those of the tables.
"""
