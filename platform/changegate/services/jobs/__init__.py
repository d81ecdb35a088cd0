"""Jobs: work that is enqueued within a transaction and run after it by a worker, at least once.

Begin with `queue`, which adds and cancels jobs. A package that has a kind of job registers a function for it by the
decorator of `handlers`, or of `repeating` for work without end. `leases` gives a job to one worker at a time, `worker`
runs it, and `overview` is for operators. No module knows a kind by name. See docs/jobs.md.
"""
