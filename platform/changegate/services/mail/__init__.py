"""Mail: an outbox that is written in the transaction of an event, and sent by a job.

    queue_mail() ──commit──> ready ──commit──> sending ──SMTP──> sent
                               ^                  ├── refused for now ──> ready, after a growing pause
                               └──────────────────┘
                                                  ├── refused for good ──> error
                                                  └── no answer to the whole mail, or a crash ──> uncertain

A mail is marked and committed before the server gets it, so that no crash sends it twice. What may have been accepted
without an answer is never sent again automatically. Begin with `outbox`; `sending` has the job, `smtp` the conversation
with the server.
"""
